"""The clients in scripts/ say in one line what is wrong: with the call, the server, the picture."""

import json
import runpy
import socket
import sys
import threading

import pytest
from common import REPOSITORY
from serving.encoding import encode

SCRIPTS = REPOSITORY / "scripts"
REST, GRPC = "explain_rest.py", "explain_grpc.py"
ADDRESS = {REST: "rest_address", GRPC: "grpc_address"}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys, pictures):
    """Run a client in a folder with `cat.jpg`; what it exits with, and its last line of errors."""
    (tmp_path / "cat.jpg").write_bytes(encode(pictures[0]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(SystemExit) as ending:
            runpy.run_path(str(SCRIPTS / script), run_name="__main__")
        if ending.value.code == 2:
            return 2, capsys.readouterr().err.splitlines()[-1]
        assert "\n" not in ending.value.code
        return 1, ending.value.code

    return run


@pytest.fixture
def answering():
    """Serve one connection that is answered with bytes, or held without an answer for None."""
    sockets = []

    def serve(answer):
        listening = socket.create_server(("localhost", 0))
        sockets.append(listening)

        def work():
            connection, _ = listening.accept()
            sockets.append(connection)
            connection.recv(1 << 20)
            if answer is not None:
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=work, daemon=True).start()
        return f"localhost:{listening.getsockname()[1]}"

    yield serve
    for each in sockets:
        each.close()


def http(status, content):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@pytest.mark.parametrize("script", ADDRESS)
def test_no_server(run, script):
    with socket.create_server(("localhost", 0)) as closed:
        address = f"localhost:{closed.getsockname()[1]}"
    code, said = run(script, "cat.jpg", "--server", address)
    assert code == 1
    assert said.startswith(f"no answer from {address}: ")
    assert "onnection refused" in said
    assert said.endswith("TensorFlow Serving takes gRPC at 8500 and REST at 8501")


@pytest.mark.parametrize("script", ADDRESS)
def test_a_server_that_does_not_answer_in_time(run, answering, script):
    code, said = run(script, "cat.jpg", "--server", answering(None), "--timeout", "0.3")
    assert code == 1
    assert "timed out" in said or "Deadline Exceeded" in said


@pytest.mark.parametrize("script", ADDRESS)
def test_what_the_server_refuses(run, toy_server, tmp_path, script):
    server = ("--model", "toy", "--server", getattr(toy_server, ADDRESS[script]))
    (tmp_path / "text.jpg").write_text("no picture")
    code, said = run(script, "text.jpg", *server)
    assert code == 1
    assert said.startswith(("400: ", "INVALID_ARGUMENT: "))
    assert "image_bytes: row 0 (10 bytes) is not a JPEG or PNG picture" in said
    (tmp_path / "empty.jpg").touch()
    assert "row 0 (0 bytes) is not a JPEG or PNG" in run(script, "empty.jpg", *server)[1]
    code, said = run(script, "cat.jpg", *server, "--model", "zoo")
    assert code == 1
    assert said in ("404: no model 'zoo'", "NOT_FOUND: no model 'zoo'")
    code, said = run(script, "cat.jpg", *server, "--out", "missing/overlay.png")
    assert (code, said) == (1, "missing/overlay.png cannot be written: No such file or directory")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (http(b"502 Bad Gateway", b"<h1>Bad\nGateway</h1>"), "502: <h1>Bad Gateway</h1>"),
        (http(b"503 Service Unavailable", b""), "503: Service Unavailable"),
        (http(b"400 Bad Request", {"error": "why"}), "400: why"),
        (http(b"200 OK", b"<html>"), "what came is not TensorFlow Serving's JSON"),
        (http(b"200 OK", [1]), "what came is not TensorFlow Serving's JSON"),
        (http(b"200 OK", {"outputs": {"scores": [1]}}), "has no 'top5_names', only scores;"),
        (b"\x00\x00\x12\x04\x00gRPC", "BadStatusLine"),
        (b"", "Remote end closed connection without response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "IncompleteRead"),
    ],
)
def test_answers_of_another_kind(run, answering, answer, expected):
    code, said = run(REST, "cat.jpg", "--server", answering(answer))
    assert code == 1
    assert expected in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["missing.jpg"], "missing.jpg cannot be read: No such file or directory"),
        (["."], ". cannot be read: Is a directory"),
        (["cat.jpg", "--server", "http://localhost:8501"], "expected host:port, such as"),
        (["cat.jpg", "--server", "localhost"], "expected host:port, such as localhost:8501"),
        (["cat.jpg", "--class-id", "tabby"], "expected a class's index, or -1, not tabby"),
        (["cat.jpg", "--class-id", "3000000000"], "expected a class's index, or -1, not 3000"),
        (["cat.jpg", "--timeout", "0"], "expected seconds above 0, not 0"),
    ],
)
def test_a_wrong_call(run, arguments, expected):
    code, said = run(REST, *arguments)
    assert code == 2
    assert expected in said


def test_grpc_without_its_packages(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis.predict_pb2", None)
    code, said = run(GRPC, "cat.jpg")
    assert code == 1
    assert said.endswith("pip install 'guidedcam-tf[serving]' brings it")
