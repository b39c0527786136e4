"""The form "tabular": its keys are in `form`, what they become in `examples`."""

from triad.datasets.base import Form, single
from triad.datasets.tabular.examples import read, tasks
from triad.datasets.tabular.form import TabularForm

FORM = Form(name="tabular", keys=TabularForm, read_from=TabularForm.read_from, read=single(read), tasks=tasks)
