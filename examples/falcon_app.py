import falcon

from jwt_wsgi import JWTMiddleware


class Protected:
    def on_get(self, req, resp):
        resp.media = {"message": "Access granted", "user": req.env["jwt_wsgi.payload"]}


class Healthz:
    def on_get(self, _req, resp):
        resp.media = {"status": "ok"}


api = falcon.App()
api.add_route("/protected", Protected())
api.add_route("/healthz", Healthz())

# The issuer and the audience come from the environment: JWT_WSGI_ISSUER, JWT_WSGI_AUDIENCE.
app = JWTMiddleware(api, public_paths=["/healthz"])
