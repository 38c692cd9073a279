// An Express application as people write it: express-session on Postgres or Redis, nothing of ours.
// The tests put it beside Sessile on the same table, the same keys and the same cookie. It must stay ordinary:
// a workaround in here would hide an incompatibility.
'use strict';

const express = require('express');
const session = require('express-session');

const env = process.env;
const cookieName = env.COOKIE_NAME || 'sid';

async function createStore() {
  switch (env.STORE) {
    case 'postgres': {
      const { Pool } = require('pg');
      const PgSession = require('connect-pg-simple')(session);
      const pool = new Pool({ connectionString: env.DATABASE_URL });
      // Without a listener an idle connection that the server drops would end the process.
      pool.on('error', (error) => console.error('postgres:', error.message));
      return new PgSession({
        pool,
        tableName: env.TABLE || 'session',
        createTableIfMissing: env.CREATE_TABLE === 'true',
        pruneSessionInterval: env.PRUNE_SECONDS ? Number(env.PRUNE_SECONDS) : undefined,
      });
    }
    case 'redis': {
      const { createClient } = require('redis');
      const { RedisStore } = require('connect-redis');
      const client = createClient({ url: env.REDIS_URL });
      client.on('error', (error) => console.error('redis:', error.message));
      await client.connect();
      return new RedisStore({ client });
    }
    default:
      throw new Error('set STORE to postgres or redis');
  }
}

// The session as a client may see it: its keys without express-session's own `cookie`.
function view(req) {
  const { cookie, ...data } = req.session ?? {};
  return { id: req.sessionID, session: data, cookie: cookie ?? null };
}

function createApp(store) {
  const app = express();
  app.disable('x-powered-by');
  app.use(express.json());
  app.use(
    session({
      store,
      name: cookieName,
      secret: env.SESSION_SECRET.split(','),
      resave: false,
      saveUninitialized: false,
      rolling: env.ROLLING === 'true',
      cookie: { maxAge: env.MAX_AGE_MS ? Number(env.MAX_AGE_MS) : undefined },
    }),
  );

  app.get('/get', (req, res) => res.json(view(req)));

  app.get('/touch', (req, res) => res.json({ ok: true }));

  app.post('/set', (req, res) => {
    Object.assign(req.session, req.body);
    res.json(view(req));
  });

  app.post('/remove', (req, res) => {
    for (const key of req.body.keys) delete req.session[key];
    res.json(view(req));
  });

  app.post('/destroy', (req, res, next) => {
    req.session.destroy((error) => {
      if (error) return next(error);
      res.clearCookie(cookieName);
      res.json({ ok: true });
    });
  });

  app.post('/regenerate', (req, res, next) => {
    req.session.regenerate((error) => {
      if (error) return next(error);
      Object.assign(req.session, req.body.set);
      res.json(view(req));
    });
  });

  // The session was loaded when the request began; the write comes late, as after a slow upstream call.
  app.post('/late', (req, res) => {
    setTimeout(() => {
      Object.assign(req.session, req.body.set);
      res.json(view(req));
    }, req.body.delay_ms);
  });

  // eslint-disable-next-line no-unused-vars -- Express knows an error handler by its four parameters
  app.use((error, req, res, next) => {
    console.error(error.message);
    res.status(500).json({ error: error.message });
  });
  return app;
}

createStore()
  .then((store) => {
    const server = createApp(store).listen(Number(env.PORT || 0), '127.0.0.1', () => {
      console.log(`listening ${server.address().port}`);
    });
  })
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
