"""The demo, run as a newcomer runs it, and the page that it writes, looked at in a browser."""

import os
import pathlib
import re
import subprocess

import pytest

import browser
import cluster as clusters

PACKAGES = clusters.ROOT / "demo/data/packages.tsv"
SECTIONS = ["answers", "map", "recall", "latency", "conditions", "live"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What the demo said, and the page."""
    home = tmp_path_factory.mktemp("demo")
    said = subprocess.run([clusters.ROOT / "demo/run"], capture_output=True, text=True, timeout=300, check=False,
                          env=os.environ | {"DVEC_DEMO_HOME": str(home), "DVEC_PREFIX_BIN": str(clusters.BIN)})
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout, home / "page.html"


@pytest.fixture(scope="module")
def page():
    assert browser.PROGRAM, "there is no browser: scripts/install-dependencies check"
    with browser.open_page() as opened:
        yield opened


@pytest.fixture
def opened(run, page):
    """The page, with nothing complained of yet; in the end nothing either, and nothing asked for but the file."""
    page.complaints.clear()
    page.requests.clear()
    yield lambda **how: page.open(run[1], **how) or page
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []


def test_what_it_says(run):
    said, page = run
    for part in ("edit video from the command line", "family = 'python'", "Index Cond", "recall@10", "dvec_recall",
                 "the index still finds it: inserted-just-now", page.name):
        assert part in said, part
    # The page has no word of pgvector where there is none.
    assert ("pgvector is not installed" in said) == ("pgvector" not in page.read_text(encoding="utf-8"))
    assert "one and a half candidates" in said and "one and a half candidates" in page.read_text(encoding="utf-8")


def test_what_the_plan_means(run):
    """Only where the plan is of a pass over the keys."""
    said, page = run
    for text in (said, page.read_text(encoding="utf-8")):
        assert ("Index Exact Searches" in text) == ("docs/filtering.md#how-it-searches" in text)
    assert "## How it searches" in (clusters.ROOT / "docs/filtering.md").read_text(encoding="utf-8")


def make_prefix(tmp_path):
    """As `make prefix` leaves it where the server has no pgvector. Returns it, the server, and folders of extensions
    and of libraries, which either has."""
    prefix, server = tmp_path / "prefix", tmp_path / "server"
    extensions, libraries = "share/extension", "lib"
    for folder in (extensions, libraries):
        (server / folder).mkdir(parents=True)
        pathlib.Path(f"{prefix}{server}/{folder}").mkdir(parents=True)
    (prefix / "bin").mkdir()
    pg_config = prefix / "bin/pg_config"
    pg_config.write_text(f"#!/bin/sh\ncase $1 in --sharedir) echo {server}/share ;; --pkglibdir) echo {server}/lib ;; esac\n")
    pg_config.chmod(0o755)
    pathlib.Path(f"{prefix}{server}/{extensions}/vector.control").write_text("comment = 'from dvec'\n")
    return prefix, server, extensions, libraries


def find_pgvector(prefix, tree):
    found = subprocess.run([clusters.ROOT / "demo/find-pgvector", prefix, tree], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def test_no_pgvector(tmp_path):
    prefix, *_ = make_prefix(tmp_path)
    assert find_pgvector(prefix, tmp_path / "tree") == ""
    assert not (tmp_path / "tree").exists()


def test_pgvector_installed_later(tmp_path):
    """After the prefix was made, which so has no link to the library."""
    prefix, server, extensions, libraries = make_prefix(tmp_path)
    files = [f"{extensions}/vector.control", f"{extensions}/vector--1.sql", f"{libraries}/vector.so"]
    for file in files:
        (server / file).write_text("pgvector's\n")
    for _ in range(2):
        tree = find_pgvector(prefix, tmp_path / "tree")
        assert tree == str(tmp_path / "tree")
        for file in files:
            assert pathlib.Path(f"{tree}{server}/{file}").read_text() == "pgvector's\n", file


def test_nothing_from_elsewhere(run):
    text = run[1].read_text(encoding="utf-8")
    assert not re.search(r"<(?:link|script|img|iframe)[^>]*(?:src|href)=\"(?!data:)", text)
    code = re.sub(r'<script id="packages".*?</script>', "", text, flags=re.DOTALL)
    assert len(code) < len(text) and not re.search(r"url\(|@import|\bfetch\(|XMLHttpRequest", code)
    assert "{{" not in text


def test_elements(opened):
    page = opened()
    assert page.evaluate("[...document.querySelectorAll('main > section')].map((s) => s.id)") == SECTIONS
    assert page.evaluate("document.querySelectorAll('.card').length") == 40
    assert page.evaluate("[...document.querySelectorAll('.card')].every((c) => c.querySelectorAll('li').length === 5)")
    assert page.evaluate("document.querySelectorAll('.card h3').length") == 40
    # Each number that is measured is one.
    cells = page.evaluate("[...document.querySelectorAll('#recall td:nth-child(n + 2)')].map((c) => c.textContent)")
    assert len(cells) >= 6 and all(float(cell) >= 0 for cell in cells)


def test_map(opened):
    page = opened()
    packages = len(PACKAGES.read_text(encoding="utf-8").splitlines())
    dots = page.evaluate("[...document.querySelectorAll('.dots path')]"
                         ".reduce((sum, p) => sum + p.getAttribute('d').split('M').length - 1, 0)")
    assert dots == packages == page.evaluate("JSON.parse(document.getElementById('packages').textContent).length")
    assert page.evaluate("document.querySelectorAll('.marks g').length") == 30
    assert page.evaluate("document.querySelectorAll('.regions text').length") > 20
    box = page.evaluate("(({x, y, width, height}) => [x, y, width, height])"
                        "(document.querySelector('.dots').getBoundingClientRect())")
    assert box[2] > 600 and box[3] > 300, "the map has no size"


def place_of_mark(page):
    """On the screen, of the first mark, scrolled to."""
    return page.evaluate("""(() => {
        const mark = document.querySelector('.marks circle');
        mark.scrollIntoView({block: 'center'});
        const box = mark.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2, mark.querySelector('title').textContent];
    })()""")


def test_hover_and_zoom(opened):
    page = opened()
    x, y, title = place_of_mark(page)
    page.mouse("mouseMoved", x, y)
    assert not page.evaluate("document.querySelector('.hint').hidden")
    assert page.evaluate("document.querySelector('.hint b').textContent") == title.split(": ")[0]
    assert page.evaluate("document.querySelector('.names').childElementCount") == 0
    for _ in range(5):
        page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-800)
    shown = page.evaluate("[...document.querySelectorAll('.names text')].map((t) => t.textContent)")
    assert 0 < len(shown) <= 60 and title.split(": ")[0] in shown
    before = page.evaluate("document.querySelector('.map svg').getAttribute('viewBox')")
    page.mouse("mousePressed", x, y, button="left", buttons=1)
    page.mouse("mouseMoved", x - 60, y - 30, button="left", buttons=1)
    page.mouse("mouseReleased", x - 60, y - 30, button="left")
    assert page.evaluate("document.querySelector('.map svg').getAttribute('viewBox')") != before
    page.evaluate("document.querySelector('[data-zoom=all]').click()")
    page.after_drawing()
    assert page.evaluate("document.querySelector('.map svg').getAttribute('viewBox')").startswith("0 0 16000 ")


def test_plot(opened):
    page = opened()
    curves = page.evaluate("[...document.querySelectorAll('.plot .curve')].map((c) => c.points.length)")
    assert curves and all(points >= 2 for points in curves)
    rows = page.evaluate("document.querySelectorAll('#recall tbody tr').length")
    assert sum(curves) == rows == page.evaluate("document.querySelectorAll('.plot circle').length")
    inside = page.evaluate("""(() => {
        const {width, height} = document.querySelector('.plot svg').viewBox.baseVal;
        return [...document.querySelectorAll('.plot circle')].every((c) =>
            c.cx.baseVal.value > 0 && c.cx.baseVal.value < width && c.cy.baseVal.value > 0 && c.cy.baseVal.value < height);
    })()""")
    assert inside


@pytest.mark.parametrize("width", [320, 390, 768, 1600])
def test_fits(opened, width):
    page = opened(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate("""[...document.querySelectorAll('body *')].filter((e) => !e.closest('svg, pre, .wide') &&
        e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))""")
    assert wide == []


def luminance(color):
    channels = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_can_be_read(opened, dark):
    """Text stands out from what is behind it, by what WCAG asks for."""
    page = opened(dark=dark)
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper < 0.2) == dark
    for selector in ("body", ".facts", ".answers .distance", ".answers small", "summary", "th", ".name", "pre"):
        ink = luminance(page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).color"))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, selector


def test_without_scripts(opened):
    page = opened(scripts=False)
    page.call("Emulation.setScriptExecutionDisabled", value=False)  # for what asks now
    text = page.evaluate("document.body.innerText")
    assert "edit video from the command line" in text and "Index Cond" in text
    assert page.evaluate("document.querySelectorAll('.dots path').length") > 20
    assert page.evaluate("getComputedStyle(document.querySelector('.controls')).display") == "none"


@pytest.fixture
def demo(run):
    """Calls it again in the same folder, and leaves no server."""
    home = run[1].parent

    def call(*options, bin_folder=clusters.BIN):
        return subprocess.run([clusters.ROOT / "demo/run", *options], capture_output=True, text=True, timeout=100, check=False,
                              stdin=subprocess.DEVNULL,
                              env=os.environ | {"DVEC_DEMO_HOME": str(home), "DVEC_PREFIX_BIN": str(bin_folder)})

    yield call
    call("--stop")


def test_started_again(run, demo):
    """With the data of a demo that kept no server; once more it says the same."""
    assert f"DVEC_DEMO_HOME={run[1].parent} demo/run --start" in run[0]
    first, second = demo("--start"), demo("--start")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == second.stdout
    assert f"DVEC_DEMO_HOME={run[1].parent} demo/run --stop" in first.stdout
    url = re.search(r"postgresql://postgres@/demo\?host=\S+", first.stdout)[0]
    counted = subprocess.run([clusters.BIN / "psql", "-XAt", url, "-c", "SELECT count(*) FROM packages"],
                             check=True, capture_output=True, text=True)
    assert int(counted.stdout) == len(PACKAGES.read_text(encoding="utf-8").splitlines())
    assert "The server is stopped" in demo("--stop").stdout
    assert "No server" in demo("--stop").stdout


def test_refused(demo, tmp_path):
    unknown = demo("--foo")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith('demo: unknown option "--foo"\n') and "demo/run --keep" in unknown.stderr
    unbuilt = demo(bin_folder=tmp_path)
    assert unbuilt.returncode == 1 and "run  make demo" in unbuilt.stderr
