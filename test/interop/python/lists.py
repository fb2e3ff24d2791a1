"""Keys of an owner, read back page by page."""

from typing import Any

from gatehouse.v1 import key_service_pb2, owner_pb2
from service import Service


def read_back(service: Service, owner_id: str, count: int, permissions: list[str], page_size: int) -> Any:
    owner = owner_pb2.Owner(kind="team", id=owner_id)
    made = [service.make(str(n), owner=owner, permissions=permissions).key.id for n in range(count)]
    pages, totals = [], []
    request = key_service_pb2.ListKeysRequest(owner=owner, page_size=page_size, with_totals=True)
    while True:
        page = service.keys.ListKeys(request, metadata=service.root)
        pages.append([key.id for key in page.keys])
        totals.append(page.total_size)
        request.page_token = page.next_page_token
        if not request.page_token:
            return {"made": made, "pages": pages, "totals": totals}


def pages(service: Service) -> Any:
    return read_back(service, "pages", 3, [], 2)


def large_page(service: Service) -> Any:
    """Asks at once for more than 4 MiB, which is what a client takes in one message unless told otherwise."""
    permissions = [f"{n:03}".ljust(128, "x") for n in range(256)]
    return read_back(service, "large", 140, permissions, 1000)
