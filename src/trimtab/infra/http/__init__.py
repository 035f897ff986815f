"""The HTTP edge: typed routes, one error shape, OpenAPI from the same types, and the checks before every request."""

from trimtab.infra.http.files import FileAnswer
from trimtab.infra.http.problems import problem_response
from trimtab.infra.http.routing import Request, Route, Stream, route

__all__ = ["FileAnswer", "Request", "Route", "Stream", "problem_response", "route"]
