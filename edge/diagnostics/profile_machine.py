"""The machine that a profile describes, as the probes look at it."""

from pathlib import Path

from edge.settings.profile import Settings
from edge.system.machine import Machine

GENERATED = "certificate.pem"  # in the page's folder, where the profile names none


def machine_of(settings: Settings, store: Path | None = None) -> Machine:
    """The machine under these settings.

    Args:
        settings: of the profile. store: folder of the record; None is the profile's.

    >>> machine_of(Settings(), Path("/srv/record")).store
    PosixPath('/srv/record')
    """
    page = settings.page
    return Machine(
        store=store or settings.store,
        camera=settings.camera_uri,
        bundle=settings.model.bundle,
        keys=settings.trust.keys,
        gates_off=settings.gates_off,
        ungated=settings.model.ungated,
        camera_setup=settings.camera_setup,
        control_demanded=settings.control.demanded,
        control_slides=settings.control.slides,
        control_hours=settings.control.valid_hours,
        site=settings.site.name,
        study=settings.site.study,
        edgetpu=settings.model.edgetpu or "",
        fallback=settings.model.fallback,
        bench_socket=settings.bench.socket,
        page_certificate=(page.certificate or page.state / GENERATED) if page.tls else None,
    )
