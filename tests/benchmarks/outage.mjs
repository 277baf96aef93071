// One way to verify tokens in Node behind a loopback server: 200 or 401.
// node outage.mjs jose|jwks-rsa JWKS_URI ISSUER AUDIENCE [SECONDS_FRESH]
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.cwd()}/`));
const jose = await import(pathToFileURL(require.resolve("jose")));
const [which, uri, issuer, audience, fresh] = process.argv.slice(2);
const age = fresh ? { cacheMaxAge: Number(fresh) * 1000 } : {};

function keys() {
  if (which === "jose") return jose.createRemoteJWKSet(new URL(uri), age);
  const client = require("jwks-rsa")({ jwksUri: uri, cache: true, ...age });
  return async ({ kid }) => {
    const key = await client.getSigningKey(kid);
    return jose.importSPKI(key.getPublicKey(), "ES256");
  };
}

const source = keys();
const server = createServer(async (request, response) => {
  try {
    const token = request.headers.authorization.slice("Bearer ".length);
    await jose.jwtVerify(token, source, { issuer, audience, algorithms: ["ES256"] });
    response.writeHead(200).end();
  } catch {
    response.writeHead(401).end();
  }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
