"""Background work of compilations: of new versions, of those whose environment changed, and on demand."""

from contextlib import suppress

from trimtab.domains.registry.compilation.model import COMPILE
from trimtab.domains.registry.compilation.service import Compilations
from trimtab.domains.registry.events import ModelEnvironmentSettled, ModelVersionCreated
from trimtab.infra.bus import Bus
from trimtab.infra.jobs import Interrupted, Job, JobContext, Jobs
from trimtab.infra.jobs.queue import LeaseLost
from trimtab.kernel.errors import Invalid, NotFound
from trimtab.kernel.events import EventRecord
from trimtab.kernel.who import system

_WHO = system("registry")


def register(bus: Bus, jobs: Jobs, service: Compilations, *, compile_models: str) -> bool:
    """Name the function that compiles, and subscribe to new versions if they are to be compiled; say whether they are."""

    def version_created(record: EventRecord) -> None:
        with suppress(NotFound):  # deleted meanwhile
            service.compile_new(_WHO, str(record.data["name"]), int(str(record.data["version"])))

    def environment_settled(record: EventRecord) -> None:
        if record.data["state"] in ("own", "ready"):
            with suppress(NotFound):
                service.environment_settled(_WHO, str(record.data["name"]), int(str(record.data["version"])))

    def compile_version(job: Job, context: JobContext) -> None:
        def tick() -> None:
            context.heartbeat()
            if context.stopping:
                raise Interrupted

        name, version = job.payload["name"], job.payload["version"]
        try:
            service.carry_out_compilation(_WHO, name, version, tick=tick)
        except NotFound:  # deleted meanwhile
            return
        except (Interrupted, LeaseLost):
            raise
        except Exception as error:
            # Whatever it was, whoever waits for the verdict must learn that there is none.
            if job.attempt >= job.max_attempts:
                service.give_up_compilation(_WHO, name, version, why=f"{type(error).__name__}: {error}")
            raise

    compile_new = _compiles_new(compile_models)
    if compile_new:
        bus.subscribe(ModelVersionCreated, "registry.compile", version_created)
        bus.subscribe(ModelEnvironmentSettled, "registry.compile", environment_settled)
    jobs.handler(COMPILE, compile_version)
    return compile_new


def _compiles_new(setting: str) -> bool:
    if setting not in ("always", "never"):
        raise Invalid(f"compile_models is always or never, not {setting!r}.", field="compile_models")
    return setting == "always"
