"""The page's sign of life, for service managers and watchers, without a login."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from edge.page.access.guard import anyone
from edge.page.api.parameters import TheBench

router = APIRouter(tags=["health"])


class HealthOut(BaseModel):
    """`page`: it answers; `instrument`: whether the instrument does."""

    page: str
    instrument: bool


@router.get("/healthz", dependencies=[Depends(anyone)], summary="Is the page alive?")
async def healthz(bench: TheBench) -> HealthOut:
    """Answered by the loop that serves everything else: an answer means that it turns."""
    return HealthOut(page="ok", instrument=bench.connected)
