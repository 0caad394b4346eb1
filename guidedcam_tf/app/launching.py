"""Opening the page on this machine, with nothing asked of or sent to any other."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from guidedcam_tf.app.desk import Desk
from guidedcam_tf.app.page import Page
from guidedcam_tf.app.sight import look_at
from guidedcam_tf.data import read_picture
from guidedcam_tf.errors import InputError
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.figures.pictures import find_picture

PHOTOGRAPHS = {
    "cat and coffee": "skimage:chelsea+coffee",
    "cat": "skimage:chelsea",
    "coffee": "skimage:coffee",
    "rocket": "skimage:rocket",
}
"""The pictures that the page offers, by what it calls them; see `figures.pictures.find_picture`."""

SANS, MONO = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
"""Fonts of the visitor's machine: none is fetched."""

SESSIONS = 100
"""How many visitors' pictures are kept; the one who was away longest loses theirs."""

WAITING = 64
"""How many requests wait at most."""


def serve(
    explainer: Explainer,
    said: Mapping[str, Any],
    *,
    other: Explainer | None = None,
    titles: tuple[str, str] = ("", ""),
    host: str = "127.0.0.1",
    port: int | None = None,
    max_megabytes: int = 20,
    ready: Callable[[str], None],
) -> None:
    """Serve the page until the process is interrupted or ended.

    Uploads and files are kept in a temporary folder that goes with the process.

    Args:
        explainer: The network.
        said: What it was opened with, by the names of `opening.NetworkConfig`'s keys.
        other: A network to compare with.
        titles: What the two are called.
        host: The address to listen at.
        port: The port; by default the first free one from 7860.
        max_megabytes: Uploads of more are refused.
        ready: Told of the page's address once it answers.

    Raises:
        OSError: If the port is taken.
    """
    with _temporary_folder() as folder:
        photographs = write_photographs(folder / "photographs")
        desk = Desk(explainer, said, photographs, other, titles)
        for each in filter(None, (explainer, other)):
            # The first map of a network waits for its compilation.
            with suppress(InputError):
                look_at(each, photographs[0], "guided")
        page = Page(desk).blocks
        page.queue(max_size=WAITING, api_open=False)
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            show_error=False,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            max_file_size=f"{max_megabytes}mb",
            state_session_capacity=SESSIONS,
            allowed_paths=[str(folder / "photographs")],
            theme=look(),
            head=f"<script>{_asset('hover.js')}</script>",
            css=_asset("page.css"),
        )
        try:
            ready(address)
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            signal.pause()
        except KeyboardInterrupt:
            page.close(verbose=False)


def look() -> gr.themes.Base:
    """The page's colours and fonts: text of at least 4.5 : 1 (WCAG 2.2 AA), and no font fetched."""
    return gr.themes.Default(primary_hue="blue", font=SANS, font_mono=MONO).set(
        block_info_text_color="*neutral_600",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        color_accent="*primary_600",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
    )


def write_photographs(folder: Path) -> list[Path]:
    """Write the pictures that the page offers, and return their files."""
    folder.mkdir()
    files = {folder / f"{name}.png": photograph for name, photograph in PHOTOGRAPHS.items()}
    for file, photograph in files.items():
        Image.fromarray(read_picture(find_picture(photograph, folder))).save(file)
    return list(files)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Keep all that Gradio and the page write in one folder, for as long as the block runs."""
    before = tempfile.tempdir, os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="guidedcam-app-") as name:
        tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"] = name
        try:
            yield Path(name)
        finally:
            tempfile.tempdir = before[0]
            os.environ.pop("GRADIO_TEMP_DIR")
            if before[1] is not None:
                os.environ["GRADIO_TEMP_DIR"] = before[1]


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
