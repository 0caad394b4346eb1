"""The page's layout, and which control asks the desk for what."""

from __future__ import annotations

from typing import Any

import gradio as gr

from guidedcam_tf.app.desk import Desk
from guidedcam_tf.app.working import Work
from guidedcam_tf.colour_maps import OPACITY
from guidedcam_tf.figures.style import method_title
from guidedcam_tf.methods import METHODS
from guidedcam_tf.networks import Network
from guidedcam_tf.overlay import COLOUR_MAPS

SECONDS = 3600
"""How long what nobody looks at any more is kept."""

BESIDE = ["guided", "gradcam", "gradcam++", "layercam"]

HINT = "Move over a picture, or tap it: the map's value there."


class Page:
    """The page of a desk.

    Args:
        desk: What answers its visitors.

    Attributes:
        blocks: The page for Gradio to launch.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        with gr.Blocks(
            title=f"guidedcam: {desk.titles[0]}",
            analytics_enabled=False,
            delete_cache=(SECONDS, SECONDS),
        ) as self.blocks:
            self._sight = gr.State(time_to_live=SECONDS)
            self._beside = gr.State(time_to_live=SECONDS)
            self._work = gr.State(Work())
            self._made: list[Any] = []
            gr.Markdown(f"# What {desk.titles[0]} looks at")
            with gr.Row():
                with gr.Column(scale=2, min_width=300):
                    self._choose()
                with gr.Column(scale=5, min_width=300):
                    self._show()
            with gr.Tabs():
                self._methods()
                self._guidance()
                self._curves()
                if desk.other is not None:
                    self._networks()
                self._files()
            self._connect()

    def _choose(self) -> None:
        """The controls."""
        desk = self._desk
        network = desk.explainer.network
        self._file = gr.File(
            label="Picture: drop it here, or choose a file", height=170, elem_id="picture"
        )
        self._photographs = gr.Gallery(
            [(str(file), file.stem) for file in desk.photographs],
            label="Or one of these",
            visible=bool(desk.photographs),
            columns=2,
            height=240,
            allow_preview=False,
            interactive=False,
            buttons=[],
            object_fit="cover",
            elem_id="photographs",
        )
        self._classes = gr.Radio([], label="Best classes", elem_id="classes")
        self._name = gr.Textbox(
            label="Another class", info="Its name or index, then Enter.", elem_id="name"
        )
        quick = [(method_title(n), n) for n, each in METHODS.items() if not each.many_passes]
        self._method = gr.Dropdown(
            quick,
            value="guided",
            label="Method",
            info="Slow ones are under Methods side by side.",
            elem_id="method",
        )
        layers = [(f"{name} ({extent(name, network)})", name) for name in reversed(network.layers)]
        self._layer = gr.Dropdown(
            layers,
            value=desk.explainer.layer,
            label="Layer",
            info="Height x width x channels of its output, the last layer first.",
            elem_id="layer",
        )

    def _show(self) -> None:
        """The map over its picture, the mask, and how they are drawn."""
        with gr.Row():
            self._overlay = _image("The map over the picture", "overlay")
        self._value = gr.Markdown(HINT, elem_id="value")
        with gr.Row():
            self._mask = _image("What the threshold keeps", "mask")
            self._levels = _image("The map alone", "levels", format="png")
        self._words = gr.Markdown(elem_id="words")
        with gr.Row():
            self._opacity = gr.Slider(
                0, 1, OPACITY, step=0.05, label="Opacity of the map", elem_id="opacity"
            )
            self._threshold = gr.Slider(
                0, 1, 0.5, step=0.05, label="Threshold of the mask", elem_id="threshold"
            )
            self._colour_map = gr.Dropdown(
                list(COLOUR_MAPS), value="inferno", label="Colours", elem_id="colours"
            )

    @property
    def _look(self) -> list[Any]:
        return [self._colour_map, self._opacity, self._threshold]

    def _methods(self) -> None:
        with gr.Tab("Methods side by side"):
            names = [
                (method_title(name) + (" (slow)" if each.many_passes else ""), name)
                for name, each in METHODS.items()
            ]
            chosen = gr.Dropdown(
                names, value=BESIDE, multiselect=True, label="Methods", elem_id="methods"
            )
            with gr.Row():
                compute = gr.Button("Compute", variant="primary", elem_id="compute")
                cancel = gr.Button("Cancel", elem_id="cancel")
            gallery = _gallery("Choose one to look at it above", "beside")
            inputs = [self._work, self._sight, self._layer, chosen, *self._look[:2]]
            compute.click(
                self._desk.compare_methods,
                inputs,
                [self._beside, gallery],
                show_progress_on=gallery,
                **SLOWLY,
            )
            cancel.click(Work.stop, self._work, queue=False, **QUIETLY)
            self._beside_gallery = gallery

    def _guidance(self) -> None:
        with gr.Tab("Guidance"):
            gr.Markdown(
                "The proposed map is the map without guidance, weighted by the guidance map. "
                "Other methods than Proposed have none."
            )
            self._guidance_gallery = _gallery("How the map comes about", "guidance", columns=5)

    def _curves(self) -> None:
        quantity = self._desk.explainer.network.quantity
        with gr.Tab("Insertion and deletion"):
            with gr.Row():
                trace = gr.Button("Trace the curves", variant="primary", elem_id="trace")
                cancel = gr.Button("Cancel")
            plot = gr.LinePlot(
                x="share",
                y=quantity,
                color="curve",
                x_title="share of the pixels",
                y_title=f"{quantity} of the class",
                x_lim=[0, 1],
                y_lim=[0, 1] if quantity == "probability" else [None, None],
                height=320,
                elem_id="curves",
            )
            words = gr.Markdown(elem_id="areas")
            trace.click(
                self._desk.trace,
                [self._work, self._sight],
                [plot, words],
                show_progress_on=plot,
                **SLOWLY,
            )
            cancel.click(Work.stop, self._work, queue=False, **QUIETLY)
            self._made += [plot, words]

    def _networks(self) -> None:
        with gr.Tab("Two networks"):
            compare = gr.Button("Compare on this picture", variant="primary", elem_id="compare")
            gallery = _gallery(" and ".join(self._desk.titles), "networks", columns=2)
            table = gr.Markdown(elem_id="table")
            compare.click(
                self._desk.compare_networks,
                [self._sight, *self._look[:2]],
                [gallery, table],
                **QUICKLY,
            )
            self._made += [gallery, table]

    def _files(self) -> None:
        with gr.Tab("Files and code"):
            make = gr.Button("Make the files", variant="primary", elem_id="make")
            files = gr.File(
                label="Overlay, map and program", file_count="multiple", interactive=False,
                elem_id="files",
            )  # fmt: skip
            self._code = gr.Code(
                language="python",
                label="The Python that makes the same picture",
                interactive=False,
                elem_id="code",
            )
            make.click(
                self._desk.files, [self._sight, self._colour_map, self._opacity], files, **QUICKLY
            )
            self._made.append(files)

    def _connect(self) -> None:
        """Say what each control does to what is shown."""
        desk, sight, look = self._desk, self._sight, self._look
        views = [
            self._overlay,
            self._mask,
            self._levels,
            self._words,
            self._guidance_gallery,
            self._code,
        ]
        how = [self._layer, self._method, *look]
        beside = [self._beside, self._beside_gallery]
        seen = [sight, self._classes, *views, *self._made, *beside]
        quickly = {**QUICKLY, "show_progress_on": self._overlay}
        came = self._file.upload(desk.look, [self._file, *how], seen, **quickly)
        # Whether it could be read or not, the next picture can be dropped.
        came.then(None, None, self._file, js="() => null", **QUIETLY)
        self._photographs.select(desk.look_at_photograph, how, seen, **quickly)
        self._name.submit(desk.explain_named, [sight, self._name, *how], seen, **quickly)
        for control in (self._classes, self._layer, self._method):
            control.input(
                desk.explain,
                [sight, self._classes, *how],
                [sight, *views, *self._made, *beside],
                **quickly,
            )
        for control in look:
            control.input(desk.views, [sight, *look], views, **DRAWN)
        self._beside_gallery.select(
            desk.take,
            [sight, self._beside, self._layer, *look],
            [sight, *views, *self._made],
            **quickly,
        )


def extent(layer: str, network: Network) -> str:
    """A layer's height, width and channels; of tokens, those of their grid."""
    step = network.layers[layer]
    grid = network.tokens.grids.get(step)
    shape = step.shape[1:] if grid is None else (grid.height, grid.width, step.shape[-1])
    return " x ".join("?" if side is None else str(side) for side in shape)


def _image(label: str, name: str, **options: Any) -> gr.Image:
    return gr.Image(label=label, interactive=False, buttons=["fullscreen"], elem_id=name, **options)


def _gallery(label: str, name: str, columns: int = 4) -> gr.Gallery:
    return gr.Gallery(
        label=label,
        columns=columns,
        height="auto",
        object_fit="contain",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id=name,
        elem_classes="panels",
    )


QUIETLY: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

DRAWN: dict[str, Any] = {**QUIETLY, "trigger_mode": "always_last", "concurrency_limit": 4}
"""For what no network runs for."""

QUICKLY: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "minimal",
    "concurrency_id": "quick",
    "concurrency_limit": 2,
}
"""For what takes a pass or two: a few at once, so that large pictures do not fill the memory."""

SLOWLY: dict[str, Any] = {
    "api_visibility": "private",
    "concurrency_id": "slow",
    "concurrency_limit": 1,
}
"""For what takes many passes: one after the other, and nobody's quick work waits for it."""
