// Dependency rules that the compiler cannot see. deny.toml says the same to cargo-deny.
//
// 1. Drivers of databases are direct dependencies of crates/store alone; interop/ plays outside parties.
// 2. crates/core knows no runtime, no web framework and no driver, not even through another crate.
// 3. One TLS library (rustls on ring) in the whole lock file.
// 4. The released program is built without the WhatsApp client's `danger-skip-…` features, which only tests may have.
import { execFileSync } from 'node:child_process';

const DRIVERS = [
  'bb8', 'deadpool-postgres', 'deadpool-redis', 'diesel', 'fred', 'postgres', 'r2d2', 'redis', 'rusqlite', 'sqlx',
  'tokio-postgres', 'tokio-postgres-rustls',
];
const MAY_USE_DRIVERS = ['sessile-store', 'sessile-interop'];
const NOT_IN_CORE = [...DRIVERS, 'axum', 'hyper', 'reqwest', 'tokio', 'tower'];
const NOT_IN_LOCK = ['aws-lc-rs', 'aws-lc-sys', 'native-tls', 'openssl', 'openssl-sys'];

const CORE = 'sessile-core';
// What is released is built from this package alone, with its own features.
const RELEASED = 'sessile-server';
const NOT_RELEASED = ['danger-skip-cert-chain-verify', 'danger-skip-tls-verify', 'stand-in'];
const METADATA_BYTES_MAX = 64 * 1024 * 1024;

const metadata = JSON.parse(
  execFileSync('cargo', ['metadata', '--format-version', '1'], {
    encoding: 'utf8',
    maxBuffer: METADATA_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'inherit'],
  }),
);
const packages = new Map(metadata.packages.map((each) => [each.id, each]));
const members = metadata.workspace_members.map((id) => packages.get(id));
const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
const broken = [];

for (const member of members) {
  if (MAY_USE_DRIVERS.includes(member.name)) continue;
  for (const dependency of member.dependencies) {
    if (DRIVERS.includes(dependency.name)) {
      broken.push(`${member.name} depends on ${dependency.name}: only ${MAY_USE_DRIVERS.join(' and ')} may; go through the store's traits`);
    }
  }
}

const core = members.find((member) => member.name === CORE);
if (!core) broken.push(`there is no ${CORE} in the workspace: this check needs its new name`);
// Breadth first, so that the path shown is a shortest one. Tests of core may use what they like.
const paths = new Map(core ? [[core.id, CORE]] : []);
for (const [id, path] of paths) {
  for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
    if (paths.has(pkg) || kinds.every(({ kind }) => kind !== null)) continue;
    const { name } = packages.get(pkg);
    paths.set(pkg, `${path} -> ${name}`);
    if (NOT_IN_CORE.includes(name)) broken.push(`${paths.get(pkg)}: ${CORE} must stay free of ${name}`);
  }
}

for (const { name, version } of metadata.packages) {
  if (NOT_IN_LOCK.includes(name)) broken.push(`${name} ${version} is in Cargo.lock: use rustls with ring (cargo tree -i ${name})`);
}

// As `cargo build -p` unites features: development dependencies and other members add none.
const features = execFileSync(
  'cargo',
  ['tree', '-p', RELEASED, '-e', 'normal,build', '--all-features', '--target', 'all', '--prefix', 'none', '-f', '{p} {f}'],
  { encoding: 'utf8', maxBuffer: METADATA_BYTES_MAX, stdio: ['ignore', 'pipe', 'inherit'] },
);
for (const line of new Set(features.split('\n'))) {
  const [name, , ...rest] = line.split(' ');
  const enabled = rest.join(' ').split(/[ ,]/);
  for (const feature of NOT_RELEASED.filter((each) => enabled.includes(each))) {
    broken.push(`${name} would be released with its feature ${feature}: only test programs may depend on sessile-sandbox-whatsapp`);
  }
}

for (const line of broken) console.error(line);
if (broken.length > 0) process.exit(1);
console.log(`${members.length} crates keep the dependency rules`);
