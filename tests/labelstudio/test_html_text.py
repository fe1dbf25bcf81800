"""What a person reads of HTML is read to its end, whatever mail programs made of it."""

import time

import pytest

from nextlabel.labelstudio.html_text import text_of_html

DEEP = {
    "closed elements": ("<div>" * 5000, "</div>" * 5000),
    "quotations of a mail": ("<blockquote><div>" * 1500, "</div></blockquote>" * 1500),
    "tags that nobody closed": ("<b>" * 5000, ""),
    "attributes": ("<div class=\"a>b\" title='<i>'>" * 3000, "</div>" * 3000),
}


@pytest.mark.parametrize("levels", [252, 253, 300, 2047, 2048, 5000])
def test_text_in_any_depth_is_read_with_all_that_follows(levels: int) -> None:
    html = "<div>" * levels + "<p>in the depth</p>" + "</div>" * levels + "<p>at the end</p>"
    assert text_of_html(html) == "in the depth at the end"


@pytest.mark.parametrize(("before", "after"), DEEP.values(), ids=DEEP)
def test_a_deep_text_is_read_as_a_shallow_one(before: str, after: str) -> None:
    inner = "<p>Hello <b>w</b>orld &amp; all</p><style>p{}</style><script>if (a<b) x</script><!-- no -->next<br>line"
    assert text_of_html(before + inner + after) == text_of_html(inner) == "Hello world & all next line"


@pytest.mark.parametrize("end", ["</body> after", "</html> after", "</div></div> after"])
def test_an_end_without_a_beginning_ends_nothing(end: str) -> None:
    assert text_of_html(f"before{end}") == "before after"
    assert text_of_html(f"{'<b>' * 3000}before{end}") == "before after"


LARGE = 11_000_000  # characters: libxml2 refuses more than 10,000,000 in a piece unless it is told not to


@pytest.mark.parametrize(
    "html",
    ["x" * LARGE, f"<!--{'x' * LARGE}-->", f"<script>{'x' * LARGE}</script>", f"<a title='{'x' * LARGE}'></a>"],
    ids=["text", "comment", "script", "attribute"],
)
def test_after_ten_megabytes_in_a_piece_there_is_more(html: str) -> None:
    assert text_of_html(f"{html} the end").endswith("the end")


@pytest.mark.parametrize("piece", ["<a ", "<a='", "<!--", "<!", "<![", "</", "&", "<script>", "<?", '<a b="'])
def test_rubbish_is_read_in_no_time(piece: str) -> None:
    start = time.perf_counter()
    for html in (piece * 100_000, "<b>" * 3000 + piece * 100_000):
        assert isinstance(text_of_html(html), str)
    assert time.perf_counter() - start < 20, "seconds: as slow as the square of the length, it would be hours"


@pytest.mark.parametrize("html", ["", "  ", "<p> <br/>&nbsp;</p>", "<!-- alone -->", "<style>p{}</style>"])
def test_without_text_it_is_empty(html: str) -> None:
    assert text_of_html(html) == ""
