"""A tiny shop and what is asked of it, as text that `params.yaml` begins with. More tasks may follow."""

CLICKS = """\
ingest: {simulated: {size: tiny}}
tasks:
  click: {kind: binary, label: clicked}
  conversion: {kind: binary, label: purchased, given: click}
"""
UNGATED = """\
  # three hundred users are too few to show these two
  profile: {kind: multiclass, label: user_attribute, column: segment, gated: false}
  price: {kind: regression, label: price_move, gated: false}
"""
NEXT = """\
  next: {kind: ranking, label: next_item}
"""
FUNNEL = CLICKS + NEXT
FIVE = CLICKS + UNGATED + NEXT
