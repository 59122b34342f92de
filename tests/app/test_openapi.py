"""What the documentation says."""

from fastapi import FastAPI


def test_only_what_clients_send_is_documented(app: FastAPI):
    """Injected parameters (session, user, repositories) are nobody's business."""
    paths = app.openapi()["paths"]
    names = {
        parameter["name"]
        for operations in paths.values()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
    }
    catalogue, resources = (
        {"search", "page", "page_size", "book_id"},
        {"q", "fields", "with", "sort", "page", "per_page"},
    )
    assert names == catalogue | resources | {"id", "order_id"}
    assert set(paths) == {
        "/accounts",
        "/accounts/me",
        "/accounts/token",
        "/api/orders",
        "/api/orders/{id}",
        "/api/orders/{order_id}/lines",
        "/api/orders/{order_id}/lines/{id}",
        "/api/users",
        "/api/users/{id}",
        "/books",
        "/books/export",
        "/books/{book_id}",
        "/books/{book_id}/deliveries",
        "/books/{book_id}/reorders",
        "/books/{book_id}/stock",
        "/health",
        "/mails",
        "/orders",
        "/orders/{order_id}",
    }


def test_where_a_token_is_used_the_scheme_is_documented(app: FastAPI):
    """Every method that may refuse for want of a token shows the bearer scheme."""
    document = app.openapi()
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            if "401" in operation["responses"] and path != "/accounts/token":  # which wants a password
                assert operation["security"] == [{"HTTPBearer": []}], (verb, path)
