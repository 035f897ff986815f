"""The HTTP face of govern: the caller, tokens, the audit trail."""

from typing import Any

import msgspec
from starlette.responses import Response

from trimtab.domains.govern.model import AuditVerdict, Token
from trimtab.domains.govern.service import GovernService
from trimtab.infra.http import Request, Route, route
from trimtab.infra.http.edge import COOKIE
from trimtab.kernel.pages import Page
from trimtab.kernel.who import Principal, Role


class CreateToken(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    role: Role = "editor"
    expires_us: int | None = None
    endpoints: list[str] | None = None
    """Names of endpoints: the token is a key to these at the inference port, and nothing else."""


class TokenView(msgspec.Struct):
    """A token without its secret."""

    id: str
    name: str
    role: Role
    created_us: int
    created_by: str
    expires_us: int | None
    revoked_us: int | None
    endpoints: list[str] | None


class NewToken(TokenView):
    """A token just made; ``token`` is shown this once."""

    token: str


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    token: str


class AuditQuery(msgspec.Struct):
    subject: str | None = None
    limit: int | None = None
    cursor: str | None = None


class AuditItem(msgspec.Struct):
    seq: int
    at_us: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    hash: str


def routes(service: GovernService) -> list[Route]:
    @route("GET", "/api/v1/me", returns=Principal, tags=["govern"])
    def me(request: Request) -> Principal:
        """Return who the caller is and their role."""
        return request.who

    @route("POST", "/api/v1/session", body=SignIn, tags=["govern"], public=True)
    def sign_in(request: Request, body: SignIn) -> Response:
        """Keep a token in a cookie that scripts cannot read, for the web UI."""
        service.authenticate(f"Bearer {body.token}", None)
        response = Response(status_code=204)
        response.set_cookie(
            COOKIE,
            body.token,
            httponly=True,
            secure=request.headers.get("origin", "").startswith("https:"),  # also where a proxy ends TLS
            samesite="strict",
            path="/",
            max_age=30 * 86_400,
        )
        return response

    @route("DELETE", "/api/v1/session", tags=["govern"], public=True)
    def sign_out(request: Request) -> Response:
        """Forget the token in the cookie."""
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, path="/")
        return response

    @route("GET", "/api/v1/tokens", returns=Page[TokenView], tags=["govern"])
    def list_tokens(request: Request) -> Page[TokenView]:
        """List service tokens."""
        return Page([_view(token) for token in service.tokens(request.who)])

    @route("POST", "/api/v1/tokens", body=CreateToken, returns=NewToken, status=201, tags=["govern"])
    def create_token(request: Request, body: CreateToken) -> NewToken:
        """Make a service token; its text is in this answer and never again."""
        token, text = service.create_token(
            request.who,
            name=body.name,
            role=body.role,
            expires_us=body.expires_us,
            endpoints=body.endpoints,
        )
        return NewToken(**msgspec.structs.asdict(_view(token)), token=text)

    @route("DELETE", "/api/v1/tokens/{token_id}", tags=["govern"])
    def revoke_token(request: Request) -> None:
        """Revoke a token at once."""
        service.revoke_token(request.who, request.path["token_id"])

    @route("GET", "/api/v1/audit", query=AuditQuery, returns=Page[AuditItem], tags=["govern"])
    def audit_trail(request: Request, query: AuditQuery) -> Page[AuditItem]:
        """List the audit trail, newest first."""
        page = service.audit_trail(request.who, subject=query.subject, limit=query.limit, cursor=query.cursor)
        items = [
            AuditItem(
                record.seq,
                record.at_us,
                record.actor,
                record.action,
                record.subject,
                record.detail,
                record.hash,
            )
            for record in page.items
        ]
        return Page(items, page.next_cursor)

    @route("GET", "/api/v1/audit/verify", returns=AuditVerdict, tags=["govern"])
    def verify_audit(request: Request) -> AuditVerdict:
        """Recompute the hash chain of the audit trail."""
        return service.verify_audit(request.who)

    return [me, sign_in, sign_out, list_tokens, create_token, revoke_token, audit_trail, verify_audit]


def _view(token: Token) -> TokenView:
    columns = msgspec.structs.asdict(token)
    columns.pop("digest")
    return TokenView(**columns)
