"""What members are made of: the same for the stages of a night and for studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from triad.arrays import Floats
from triad.errors import TriadError
from triad.examples.dataset import Dataset

if TYPE_CHECKING:
    from triad.config.images import ImagesParams
    from triad.config.profile import ProfileParams
    from triad.config.similarity import SimilarityParams
    from triad.config.tasks import Tasks
    from triad.config.text import TextParams


class Sections(Protocol):
    """The sections of params that members read. A member's recipe names those that it depends on."""

    @property
    def tasks(self) -> Tasks: ...
    @property
    def similarity(self) -> SimilarityParams: ...
    @property
    def profile(self) -> ProfileParams: ...
    @property
    def text(self) -> TextParams: ...
    @property
    def images(self) -> ImagesParams: ...


class Networks(Protocol):
    """Trains networks again on all days."""

    def sequence(self, member: Any) -> Any:
        """The `Sequence` that learned the days that `member` lacks."""

    def scorer(self, member: Any) -> Any:
        """The `NetworkScorer` that learned the days that `member` lacks."""


def _none_beside(name: str) -> Any:
    raise TriadError(f"there is no member {name!r} to be made of", where="members", mend="make it in the stage fuse")


@dataclass(frozen=True)
class Bench:
    """The examples, the params, and what was learned before, which is read when it is asked for."""

    data: Dataset
    params: Sections
    vectors: Callable[[], Floats]  # (n_items, dim) pretrained item vectors, in catalogue rows
    member: Callable[[str], Any] = _none_beside  # another member, by name
    networks: Networks | None = None

    def train(self) -> Networks:
        """What trains networks.

        Raises:
            TriadError: nothing here does.
        """
        if self.networks is None:
            raise TriadError("no network can be trained here", where="members", mend="run the stage refit")
        return self.networks
