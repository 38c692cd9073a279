// Our side of the comparison: signatures from the command line, a stand-in Stripe, and the whole program beside it.

import { spawnSync } from 'node:child_process';
import Stripe from 'stripe';
import { built } from '../browser/program.mjs';

const CALL_MS = 10_000;
const tool = built('examples/stripe_signature', ['-p', 'sessile-providers', '--example', 'stripe_signature']);

function run(input, ...args) {
  const { status, stdout, stderr, error } = spawnSync(tool, args, { input, encoding: 'utf8', timeout: CALL_MS });
  if (error) throw error;
  return { status, stdout: stdout.trim(), stderr: stderr.trim() };
}

/** Our header for a body; several secrets sign side by side. */
export function sign(body, secrets, time) {
  const { status, stdout, stderr } = run(body, 'sign', [secrets].flat().join(','), String(time));
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** What we say of a header: `believed`, or why not. */
export function judge(header, body, secrets, now) {
  const { status, stderr } = run(body, 'verify', [secrets].flat().join(','), String(now), header);
  return status === 0 ? 'believed' : stderr;
}

/** Stripe's own client, sent to the stand-in. It knows no paths before `/v1`, so its transport adds what is missing. */
export function sdk(settings) {
  const base = new URL(settings.STRIPE_API_URL);
  const transport = Stripe.createNodeHttpClient();
  const prefixed = {
    getClientName: () => transport.getClientName(),
    makeRequest: (host, port, path, ...rest) =>
      transport.makeRequest(host, port, `${base.pathname.replace(/\/$/, '')}${path}`, ...rest),
  };
  return new Stripe(settings.STRIPE_SECRET_KEY, {
    host: base.hostname, port: base.port, protocol: 'http', httpClient: prefixed, maxNetworkRetries: 2, telemetry: false,
  });
}
