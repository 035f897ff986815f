"""The HTTP face of tracking: the routes of each noun."""

from trimtab.domains.tracking.artifacts import http as artifacts_http
from trimtab.domains.tracking.catalog import http as catalog_http
from trimtab.domains.tracking.experiments import http as experiments_http
from trimtab.domains.tracking.importance import http as importance_http
from trimtab.domains.tracking.logged_models import http as logged_models_http
from trimtab.domains.tracking.records import http as records_http
from trimtab.domains.tracking.runs import http as runs_http
from trimtab.domains.tracking.service import TrackingService
from trimtab.domains.tracking.views import http as views_http
from trimtab.infra.http import Route


def routes(service: TrackingService) -> list[Route]:
    return [
        *experiments_http.routes(service),
        *catalog_http.routes(service),
        *importance_http.routes(service),  # before the runs, whose ids match any word
        *runs_http.routes(service),
        *artifacts_http.routes(service),
        *logged_models_http.routes(service),
        *views_http.routes(service),
        *records_http.routes(service),
    ]
