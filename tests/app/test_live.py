"""The live stock: a conversation with layers around it."""

import logging

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient


def test_a_number_gets_the_stock(app: FastAPI):
    """Every number is answered with the copies that are left at that moment."""
    with TestClient(app) as client, client.websocket_connect("/books/stock") as socket:
        socket.send_text("1")
        assert socket.receive_json() == {"book_id": 1, "stock": 12}
        token = client.post("/accounts", json={"name": "Ada"}).json()["token"]
        client.post("/orders", json={"lines": [{"book_id": 1}]}, headers={"Authorization": f"Bearer {token}"})
        socket.send_text("1")
        assert socket.receive_json() == {"book_id": 1, "stock": 11}


@pytest.mark.parametrize("text", ["", "emma", "0", "-1", "1.5", str(2**63), "9" * 5000, "null"])
def test_nonsense_is_answered_and_the_conversation_goes_on(app: FastAPI, text: str):
    """A bad message is told what would be a good one."""
    with TestClient(app) as client, client.websocket_connect("/books/stock") as socket:
        socket.send_text(text)
        assert socket.receive_json() == {"error": "Send the number of a book."}
        socket.send_bytes(b"1")
        assert socket.receive_json() == {"error": "Send the number of a book."}
        socket.send_text("4711")
        assert socket.receive_json() == {"error": "There is no book 4711."}
        socket.send_text("20")
        assert socket.receive_json() == {"book_id": 20, "stock": 0}


def test_a_conversation_is_one_line_in_the_log(app: FastAPI, caplog: pytest.LogCaptureFixture):
    """The layers run around the whole conversation, once, and it ends well when the client goes away."""
    caplog.set_level(logging.INFO, logger="bookshop")
    with TestClient(app) as client, client.websocket_connect("/books/stock") as socket:
        for _ in range(3):
            socket.send_text("1")
            socket.receive_json()
        assert not [record for record in caplog.records if record.name == "bookshop.access"]
    lines = [record for record in caplog.records if record.name == "bookshop.access"]
    assert [(line.fields["target"], line.fields["outcome"]) for line in lines] == [("StockController.live", "ok")]
