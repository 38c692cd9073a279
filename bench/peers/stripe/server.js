'use strict';
// Stripe's webhook and the status of paid jobs as applications write them: Express, Stripe's own SDK, and the usual
// client of the store. Started by the runner; the contract (environment, `listening <port>`) is in bench/README.md.
// It must never do more work for a request than: verify, record durably, answer.

const express = require('express');
const Stripe = require('stripe');

const MONTH_SECONDS = 30 * 24 * 60 * 60;
// pg's own default, which measured best here too; POOL_SIZE overrides it.
const POSTGRES_POOL = 10;

function setting(name) {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

/** Where events are recorded, once each, and jobs are read. */
async function makeStore() {
  switch (setting('STORE')) {
    case 'postgres': {
      const { Pool } = require('pg');
      const pool = new Pool({ connectionString: setting('DATABASE_URL'), max: Number(process.env.POOL_SIZE ?? POSTGRES_POOL) });
      await pool.query(`create table if not exists stripe_events
        (id text primary key, type text not null, body text not null, received_at timestamptz not null default now())`);
      await pool.query('create table if not exists jobs (id text primary key, data jsonb not null)');
      return {
        record: (event, body) => pool.query(
          'insert into stripe_events (id, type, body) values ($1, $2, $3) on conflict do nothing',
          [event.id, event.type, body],
        ),
        job: async (id) => (await pool.query('select data from jobs where id = $1', [id])).rows[0]?.data,
      };
    }
    case 'redis': {
      const { createClient } = require('redis');
      const client = createClient({ url: setting('REDIS_URL') });
      client.on('error', (error) => console.error(`Redis: ${error.message}`));
      await client.connect();
      return {
        record: (event, body) => client.set(`stripe:event:${event.id}`, body, {
          condition: 'NX', expiration: { type: 'EX', value: MONTH_SECONDS },
        }),
        job: async (id) => JSON.parse(await client.get(`session:${id}`)),
      };
    }
    default:
      throw new Error(`STORE is ${process.env.STORE}: set it to postgres or redis`);
  }
}

async function serve() {
  const store = await makeStore();
  const secret = setting('STRIPE_WEBHOOK_SECRET');
  const { webhooks } = new Stripe('sk_test_nothing_is_asked_for');
  const app = express();

  app.post('/api/webhooks/stripe', express.raw({ type: 'application/json' }), async (req, res) => {
    let event;
    try {
      event = webhooks.constructEvent(req.body, req.headers['stripe-signature'], secret);
    } catch {
      res.status(400).json({ error: 'Invalid signature' });
      return;
    }
    try {
      await store.record(event, req.body.toString('utf8'));
      res.json({ received: true });
    } catch (error) {
      console.error(error);
      res.status(500).json({ error: 'Webhook processing failed' });
    }
  });

  app.get('/api/webhook-status/:sessionId', async (req, res) => {
    try {
      const job = await store.job(req.params.sessionId);
      if (!job) {
        res.json({ status: 'pending', message: 'Session not found or processing not yet started' });
        return;
      }
      const { status, fileId, error, toolSlug, toolTitle, prompt, createdAt } = job;
      res.json({ status, fileId, error, toolSlug, toolTitle, prompt, timestamp: createdAt });
    } catch (error) {
      console.error(error);
      res.status(500).json({ error: 'Internal server error' });
    }
  });

  const server = app.listen(Number(setting('PORT')), '127.0.0.1', () => {
    console.log(`listening ${server.address().port}`);
  });
  // Keep-alive connections wait idle between two measurements; the default closes them after five seconds.
  server.keepAliveTimeout = 120_000;
}

serve().catch((error) => {
  console.error(error);
  process.exit(1);
});
