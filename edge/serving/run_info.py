"""What the record keeps of a run at its beginning: under what it judges."""

import json
from importlib import metadata

from msgspec import UNSET

from edge.cameras.base import Camera
from edge.cameras.setup.set_up_camera import setup_digest
from edge.inference.tiles import Tiling
from edge.record.entries import RunInfo
from edge.serving.serve import Served
from edge.settings.profile import Settings


def software() -> str:
    """Name and version of what runs here."""
    return f"leukoscope {metadata.version('leukoscope')}"


def run_info(served: Served, camera: Camera, slide: str, settings: Settings) -> RunInfo:
    """The beginning of a run that looks at `slide` through `camera` with the bundle that is served."""
    bundle, interpreter = served.bundle, served.classifier.interpreter
    return RunInfo(
        slide=slide,
        camera=camera.uri,
        simulated=bool(camera.notice),
        bundle=bundle.name,
        bundle_digest=bundle.digest,
        certified=bundle.certified,
        signed_by=bundle.provenance.signed_by,
        bundle_version=bundle.provenance.version,
        synthetic_certificate=bundle.synthetic,
        lax_policy=bundle.lax_policy or UNSET,
        ungated=served.provenance.ungated,
        acceptance=served.licence.acceptance,
        camera_setup=setup_digest(camera) or UNSET,
        runtime=interpreter.runtime,
        runtime_version=interpreter.version,
        kind=interpreter.kind,
        labels=bundle.contract.labels,
        benign=bundle.contract.benign_labels,
        tiling=Tiling.of(bundle.contract),
        software=software(),
        settings=json.dumps(settings.as_record(), sort_keys=True),
    )
