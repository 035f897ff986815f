"""The server's key for bundles: Ed25519, made at the first bundle, kept sealed in the database."""

import base64

from trimtab.domains.deploy.edge import store
from trimtab.infra.db import Database
from trimtab.infra.secrets import Secrets
from trimtab.kernel.time import now_us

_PURPOSE = "deploy.edge.signing-key"


class SigningKey:
    """The one key of a database. Whoever can open the server's secrets can sign with it, and nobody else."""

    def __init__(self, db: Database, secrets: Secrets) -> None:
        self._db = db
        self._secrets = secrets

    @property
    def public(self) -> str:
        """The public half in base 64."""
        return self._pair()[0]

    def sign(self, message: bytes) -> bytes:
        """Return the signature in base 64; raises SecretUnreadable where the key file is another one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        private = base64.b64decode(self._secrets.open(self._pair()[1], purpose=_PURPOSE))
        return base64.b64encode(Ed25519PrivateKey.from_private_bytes(private).sign(message))

    def _pair(self) -> tuple[str, str]:
        with self._db.read() as tx:
            found = store.key(tx)
        if found is not None:
            return found
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        fresh = Ed25519PrivateKey.generate()
        public = base64.b64encode(fresh.public_key().public_bytes_raw()).decode()
        private = base64.b64encode(fresh.private_bytes_raw()).decode()
        with self._db.write() as tx:
            sealed = self._secrets.seal(private, purpose=_PURPOSE)
            store.put_key(tx, public=public, sealed=sealed, created_us=now_us())
            kept = store.key(tx)  # another process may have been faster: then its key holds
        assert kept is not None
        return kept
