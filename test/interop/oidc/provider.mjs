// oidc-provider as a certified OpenID provider runs it, but for its clients, its
// storage in memory and the forms that ask nobody for a real password.
//
// Arguments: certificate, key (PEM files), life of an access token in seconds, the key
// set of the client that asks about tokens by private_key_jwt. It
// prints its issuer once it listens, and ends when its standard input does.
import { readFileSync } from 'node:fs';
import https from 'node:https';
import Provider, { errors } from 'oidc-provider';

const [cert, key, life, keys] = process.argv.slice(2);
const resource = 'https://db.example.com/';
// Tokens for this one are opaque.
const opaque = 'https://opaque.example.com/';
const scopes = ['orders.read', 'orders.write'];

const server = https.createServer({ cert: readFileSync(cert), key: readFileSync(key) });
await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
const issuer = `https://localhost:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'scopewire-cli', application_type: 'native', token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'], redirect_uris: ['http://127.0.0.1/callback'], authorization_details_types: ['postgresql'],
    },
    {
      client_id: 'service', client_secret: 'a-secret-of-the-test', grant_types: ['client_credentials'],
      response_types: [], redirect_uris: [], authorization_details_types: ['postgresql'],
    },
    // Who asks about tokens, and may do nothing else.
    { client_id: 'scopewire', client_secret: 'a secret: of & scopewire', grant_types: [], response_types: [], redirect_uris: [] },
    {
      client_id: 'scopewire-key', token_endpoint_auth_method: 'private_key_jwt', jwks: JSON.parse(keys),
      grant_types: [], response_types: [], redirect_uris: [],
    },
  ],
  scopes: ['openid', 'offline_access', ...scopes],
  ttl: { AccessToken: Number(life), ClientCredentials: Number(life), Grant: 3600, Interaction: 3600, Session: 3600, DeviceCode: 600, RefreshToken: 3600 },
  // A refresh token is good for one use; the second use ends the grant.
  rotateRefreshToken: true,
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, indicator) => {
        if (indicator === opaque) {
          return { scope: scopes.join(' '), audience: 'postgres', accessTokenFormat: 'opaque', accessTokenTTL: Number(life) };
        }
        if (indicator !== resource && !indicator.startsWith('https://localhost:')) throw new errors.InvalidTarget();
        return { scope: scopes.join(' '), audience: 'postgres', accessTokenFormat: 'jwt', accessTokenTTL: Number(life) };
      },
    },
    richAuthorizationRequests: {
      enabled: true,
      types: { postgresql: { validate() {} } },
      // What a person or a client gets is what was asked for.
      authorizationDetailsForGrantSource: (ctx) => ctx.oidc.entities.Grant.rar,
      authorizationDetailsForAccessToken: (ctx, token, source) => source?.rar ?? JSON.parse(ctx.oidc.params.authorization_details),
      authorizationDetailsForIntrospection: (ctx, token) => token.rar,
    },
  },
});
server.on('request', provider.callback());
process.stdin.on('end', () => process.exit(0)).resume();
console.log(issuer);
