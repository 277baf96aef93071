// An OpenID provider that sends logouts, for real_logouts.py:
// node logout_provider.mjs PORT URL_OF_LOGOUTS SID_IN_LOGOUTS
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

console.info = () => {}; // its notices about defaults
const [port, url, sid] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...privateKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'ES256' };
const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: [jwk] },
  clients: [
    {
      client_id: 'shop',
      client_secret: 'of this run only',
      redirect_uris: ['http://127.0.0.1:1/callback'],
      id_token_signed_response_alg: 'ES256',
      backchannel_logout_uri: url,
      backchannel_logout_session_required: sid === 'true',
    },
  ],
  pkce: { required: () => false },
  cookies: { keys: ['of this run only'] },
  // Its own refuses to post to loopback.
  fetch: (target, { dispatcher, ...options }) => fetch(target, options),
  features: {
    backchannelLogout: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:api',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'read',
        audience: 'urn:api',
        accessTokenTTL: 3600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});
const say = (text) => console.log(`${new Date().toISOString()} provider: ${text}`);
provider.on('backchannel.success', () => say('its logout was taken'));
provider.on('backchannel.error', (_, error) => say(`its logout was refused: ${error.message}`));
provider.on('server_error', (_, error) => say(error.stack));
provider.listen(Number(port), '127.0.0.1');
