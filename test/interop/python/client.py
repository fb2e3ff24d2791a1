"""`python client.py SCENARIO ADDRESS ROOT_KEY`: plays the scenario against the service, prints what came as JSON."""

import json
import sys

import bulk
import edges
import ends
import life
import lists
import refusals
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
}

_, SCENARIO, ADDRESS, ROOT_KEY = sys.argv
print(json.dumps(SCENARIOS[SCENARIO](Service(ADDRESS, ROOT_KEY))))
