'use strict';
// The benchmark's application on Express 4, express-session, connect-pg-simple and connect-redis, written as their own
// documentation does it. Started by the runner; the contract (environment, routes) is in bench/README.md.
// It must never do more work for a request than the contract asks.

const cluster = require('node:cluster');
const express = require('express');
const session = require('express-session');

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;
// Measured best here on two cores; POOL_SIZE overrides it.
const POSTGRES_POOL = 10;

function setting(name) {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

// The stores touch on every request by default. They have no interval, so `interval` is given the cheaper `never`.
const TOUCHES = { always: true, interval: false, never: false };

async function makeStore(disableTouch) {
  switch (setting('STORE')) {
    case 'postgres': {
      const { Pool } = require('pg');
      const PgStore = require('connect-pg-simple')(session);
      const pool = new Pool({
        connectionString: setting('DATABASE_URL'),
        max: Number(process.env.POOL_SIZE ?? POSTGRES_POOL),
      });
      return new PgStore({ pool, disableTouch, createTableIfMissing: true });
    }
    case 'redis': {
      const { createClient } = require('redis');
      const { RedisStore } = require('connect-redis');
      const client = createClient({ url: setting('REDIS_URL') });
      client.on('error', (error) => console.error(`Redis: ${error.message}`));
      await client.connect();
      return new RedisStore({ client, disableTouch });
    }
    default:
      throw new Error(`STORE is ${process.env.STORE}: set it to postgres or redis`);
  }
}

async function serve() {
  const touch = TOUCHES[setting('TOUCH')];
  if (touch === undefined) throw new Error('TOUCH must be interval, always or never');
  const app = express();
  app.use(
    session({
      store: await makeStore(!touch),
      secret: setting('SESSION_SECRET'),
      resave: false,
      saveUninitialized: false,
      rolling: false,
      cookie: { maxAge: WEEK_MS },
    }),
  );

  app.post('/new', (req, res) => {
    const n = Number(req.query.n);
    req.session.userId = String(n);
    req.session.n = n;
    req.session.cart = [
      { sku: 'A-1001', qty: 1, price: 1999 },
      { sku: 'B-2002', qty: 2, price: 499 },
      { sku: 'C-3003', qty: 3, price: 2500 },
    ];
    req.session.views = 0;
    req.session.theme = 'dark';
    res.send('ok');
  });

  app.get('/load', (req, res) => {
    const n = req.session.n;
    if (n === undefined) res.sendStatus(401);
    else res.send(String(n));
  });

  // The last byte of the answer leaves after the save: express-session holds it back until then.
  app.post('/set', (req, res) => {
    req.session.views = Number(req.query.v);
    res.send('ok');
  });

  const server = app.listen(Number(setting('PORT')), '127.0.0.1', () => {
    const { port } = server.address();
    if (cluster.isPrimary) console.log(`listening ${port}`);
    else process.send(port);
  });
  // Keep-alive connections wait idle between two measurements; the default closes them after five seconds.
  server.keepAliveTimeout = 120_000;
}

// One process, as these applications are started; WORKERS shares the port among several.
const workers = Number(process.env.WORKERS ?? 1);
if (workers > 1 && cluster.isPrimary) {
  let ready = 0;
  cluster.on('message', (_worker, port) => {
    ready += 1;
    if (ready === workers) console.log(`listening ${port}`);
  });
  for (let i = 0; i < workers; i += 1) cluster.fork();
} else {
  serve().catch((error) => {
    console.error(error);
    process.exit(1);
  });
}
