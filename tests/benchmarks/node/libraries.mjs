// Node's libraries, told line by line what to verify; answers with the CPU time it took.
import { createPublicKey } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modules, jwkText, algorithm, iss, aud] = process.argv.slice(2);
const jwk = JSON.parse(jwkText);
const require = createRequire(`${modules}/`);
const { createVerifier } = require("fast-jwt");
const jose = await import(pathToFileURL(require.resolve("jose")));

const pem = createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "pem" });
const terms = { key: pem, algorithms: [algorithm], allowedIss: iss, allowedAud: aud };
const joseKey = await jose.importJWK(jwk, algorithm);
const verifiers = {
  "fast-jwt": createVerifier({ ...terms, requiredClaims: ["exp"], cache: false }),
  "fast-jwt + cache": createVerifier({ ...terms, requiredClaims: ["exp"], cache: true }),
  jose: (token) =>
    jose.jwtVerify(token, joseKey, { algorithms: [algorithm], issuer: iss, audience: aud, requiredClaims: ["exp"] }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { name, tokens } = JSON.parse(line);
  const verify = verifiers[name];
  const waits = name === "jose";
  let refused = 0, why = "", last = null, shared = false;
  const before = process.cpuUsage();
  for (const token of tokens) {
    try {
      const payload = waits ? await verify(token) : verify(token);
      shared = payload === last;
      last = payload;
    } catch (error) {
      refused += 1;
      why = error.message;
    }
  }
  const spent = process.cpuUsage(before);
  console.log(JSON.stringify({ refused, why, shared, seconds: (spent.user + spent.system) / 1e6 }));
}
