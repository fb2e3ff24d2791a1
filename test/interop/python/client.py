"""`python client.py SCENARIO ADDRESS ROOT_KEY`: plays the scenario against the service, prints what came as JSON."""

import json
import sys

import bulk
import edges
import ends
import life
import lists
import refusals
import stream_ends
import streams
from service import Service

SCENARIOS = {
    "life": life.life,
    "pages": lists.pages,
    "large page": lists.large_page,
    "refusals": refusals.refusals,
    "too large": refusals.too_large,
    "busy": refusals.busy,
    "batch": bulk.batch,
    "parallel": bulk.parallel,
    "deadline": ends.deadline,
    "cancel": ends.cancel,
    "edges": edges.edges,
    "health": ends.healthy,
    "stream": streams.stream,
    "stream packed": streams.packed,
    "stream unread": streams.unread,
    "stream cancelled": stream_ends.cancelled,
    "stream late": stream_ends.late,
    "stream revoked": stream_ends.revoked,
    "reset": stream_ends.reset,
}

_, SCENARIO, ADDRESS, ROOT_KEY = sys.argv
print(json.dumps(SCENARIOS[SCENARIO](Service(ADDRESS, ROOT_KEY))))
