"""The form "ratings of several markets": its keys are in `form`, what they become in `examples`."""

from triad.datasets.base import Form
from triad.datasets.markets.examples import read
from triad.datasets.markets.form import MarketsForm
from triad.datasets.markets.joined import save_source

FORM = Form(
    name="markets",
    keys=MarketsForm,
    read_from=MarketsForm.read_from,
    read=read,
    starts=lambda form, name: {"market": ()} if form.sources(name) else {},
    save_beside=save_source,
)
