"""What is installed: light without extras, with its data, and cited as the paper is."""

import ast
import configparser
import fnmatch
import re
import subprocess
import sys

import keras
import pytest
import yaml
from common import REPOSITORY
from common import build_toy

import guidedcam_tf

PACKAGE = REPOSITORY / "guidedcam_tf"
DISTRIBUTIONS = {
    "cv2": "opencv-python",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "tensorflow_serving": "tensorflow-serving-api",
    "upath": "universal_pathlib",
    "yaml": "PyYAML",
}
BROUGHT_BY_OTHERS = {
    "google": "tensorflow",
    "grpc": "tensorflow-serving-api",
    "h5py": "keras",
    "pydantic_core": "pydantic",
    "typing_extensions": "pydantic",
}
TOOLS = {"dev", "docs"}
PEERS = {"tf_explain", "tf_keras_vis", "xplique"}
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError("No module named " + name, name=name)

sys.meta_path.insert(0, Missing())
from guidedcam_tf.cli import main
codes = []
for command in (
    "explain a.png --model toy.keras --preprocess none --figure --out out",
    "export models/toy --model toy.keras --preprocess none",
    "evaluate {config} --set data.root=.",
    "app --model toy.keras",
):
    sys.argv = ["guidedcam", *command.split()]
    try:
        main()
    except SystemExit as ending:
        codes.append(command.split()[0] + " " + str(ending.code))
print(", ".join(codes))
"""


@pytest.fixture(scope="module")
def metadata():
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / "setup.cfg")
    return parser


def names(requirements):
    return {re.split(r"[\[<>=,]", line)[0] for line in requirements.split()}


def imported(file):
    """The packages that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        modules = [node.module] if isinstance(node, ast.ImportFrom) else ()
        modules = [name.name for name in node.names] if isinstance(node, ast.Import) else modules
        yield from (module.partition(".")[0] for module in modules)


def test_what_is_imported_is_required(metadata):
    extras = metadata["options.extras_require"]
    required = names(metadata["options"]["install_requires"])
    required |= names(" ".join(extras[name] for name in extras.keys() - TOOLS))
    scripts = list((REPOSITORY / "scripts").glob("*.py"))
    files = [*PACKAGE.rglob("*.py"), *scripts]
    used = {package for file in files for package in imported(file)}
    used -= {script.stem for script in scripts}
    used -= {*sys.stdlib_module_names, *PEERS, *BROUGHT_BY_OTHERS, "guidedcam_tf"}
    used = {DISTRIBUTIONS.get(package, package) for package in used} - names(extras["docs"])
    used -= {"mkdocs"}  # mkdocs-material brings it.
    used -= {"keras_hub"}  # Its tensorflow-text holds TensorFlow back; who names a preset has it.
    assert used == required - {"guidedcam-tf", "tabulate"}  # pandas imports tabulate.


def test_data_files_are_packaged(metadata):
    patterns = metadata["options.package_data"]
    for file in PACKAGE.rglob("*"):
        if file.is_file() and file.suffix not in (".py", ".pyc"):
            package = ".".join(file.parent.relative_to(REPOSITORY).parts)
            assert any(fnmatch.fnmatch(file.name, each) for each in patterns[package].split())


def test_without_extras_it_explains_and_says_what_the_rest_needs(tmp_path):
    build_toy().save(tmp_path / "toy.keras")
    keras.utils.save_img(tmp_path / "a.png", 255 * keras.random.uniform((8, 8, 3), seed=1))
    blocked = (
        "gradio",
        "jinja2",
        "openvino",
        "pandas",
        "ray",
        "scipy",
        "skimage",
        "tensorflow_serving",
    )
    code = WITHOUT.format(
        blocked=blocked, config=REPOSITORY / "configs" / "table1_voc12_resnet50.yaml"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("explain 0, export 0, evaluate 2, app 2\n"), done.stderr
    assert "pandas is missing; pip install 'guidedcam-tf[evaluation]' brings it" in done.stderr
    assert "gradio is missing; pip install 'guidedcam-tf[app]' brings it" in done.stderr
    assert list((tmp_path / "out").glob("*.pdf"))


def test_the_version_is_in_one_place(metadata):
    assert metadata["metadata"]["version"] == "attr: guidedcam_tf.__version__"
    written = re.compile(rf"\b{re.escape(guidedcam_tf.__version__)}\b")
    files = ("setup.cfg", "setup.py", "pyproject.toml", "CITATION.cff")
    assert not [file for file in files if written.search((REPOSITORY / file).read_text("utf-8"))]
    assert f"## [{guidedcam_tf.__version__}]" in (REPOSITORY / "CHANGELOG.md").read_text("utf-8")


def test_the_citation_is_the_readme_s(metadata):
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    assert cited["license"] == metadata["metadata"]["license"]
    assert cited["title"] == metadata["metadata"]["name"]
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    bibtex = dict(re.findall(r"^  (\w+)\s+= \{(.*)\}", readme, re.M))
    paper = cited["preferred-citation"]
    ours = {
        "author": " and ".join(
            f"{each['family-names']}, {each['given-names']}" for each in paper["authors"]
        ),
        "title": paper["title"],
        "journal": paper["journal"],
        "volume": str(paper["volume"]),
        "number": str(paper["issue"]),
        "pages": str(paper["start"]),
        "year": str(paper["year"]),
        "doi": paper["doi"],
    }
    assert ours == bibtex
