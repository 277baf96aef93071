// Fastify: bare, with @fastify/jwt, and with @fastify/jwt and its cache.
import { createPublicKey } from "node:crypto";
import { createRequire } from "node:module";

const [modules, jwkText, algorithm, iss, aud, port, kind] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const app = require("fastify")();
const options = {};
if (kind !== "bare") {
  const key = createPublicKey({ key: JSON.parse(jwkText), format: "jwk" });
  app.register(require("@fastify/jwt"), {
    secret: { public: key.export({ type: "spki", format: "pem" }) },
    verify: {
      algorithms: [algorithm],
      allowedIss: iss,
      allowedAud: aud,
      requiredClaims: ["exp"],
      cache: kind === "cache",
    },
  });
  options.onRequest = (request) => request.jwtVerify();
}
app.register(async (scope) => scope.get("/", options, async () => ({ ok: true })));
await app.listen({ port: Number(port), host: "127.0.0.1" });
