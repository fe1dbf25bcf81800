"""Forms as people post them and as Label Studio's own gallery has them: which texts of each are read, in which order.

What is asked about them is not looked at here. Styles and the controls' labels are left out of the gallery's.
"""

import pytest
from defusedxml.ElementTree import fromstring

from helpers.labelling_configs import choices, text, view
from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.texts import texts_of

READ = {
    "intent classification and slot filling": (
        '<ParagraphLabels name="entity_slot" toName="dialogue"/>'
        '<Paragraphs name="dialogue" value="$humanMachineDialogue" layout="dialogue"/>',
        ("humanMachineDialogue",),
        (),
    ),
    "response selection": (
        '<Paragraphs name="prg" value="$humanMachineDialogue" layout="dialogue"/><View style="display: flex;"><View>'
        '<Text name="resp1" value="$respone"/><Text name="resp2" value="$resptwo"/>'
        '<Text name="resp3" value="$respthree"/></View></View>',
        ("humanMachineDialogue", "respone", "resptwo", "respthree"),
        (),
    ),
    "chatbot assessment": (
        '<Header>InstructGPT Assessment</Header><View className="text-block"><Paragraphs name="dialogue" '
        'value="$messages" layout="dialogue" nameKey="role" textKey="content"/></View>',
        ("messages",),
        (),
    ),
    "chat evaluation with instructions": (
        '<View className="instructions"><Text name="instructions" value="$text"/></View>'
        '<Chat name="chat" value="$chat" llm="openai/gpt-4.1-nano" minMessages="4" editable="true"/>',
        ("text", "chat"),
        (),
    ),
    "chat evaluation with fixed instructions": (
        '<Text name="instructions" value="Review the conversation in detail."/><Chat name="chat" value="$chat"/>'
        '<View visibleWhen="region-selected" whenRole="assistant"><Header value="Response Accuracy"/></View>'
        '<Text name="add_comment" value="Add a comment (optional)"/>',
        ("chat",),
        (),
    ),
    "conversational analysis": (
        '<Audio name="audio" value="$audio" hotkey="space" sync="text"/><Header value="Transcript"/>'
        '<Paragraphs audioUrl="$audio" sync="audio" name="text" value="$text" layout="dialogue" textKey="text" '
        'nameKey="author" contextscroll="true"/>',
        ("text",),
        ("the <Audio> 'audio' is not read",),
    ),
    "human feedback collection": (
        '<View className="prompt"><Text name="prompt" value="$prompt"/></View>'
        '<Pairwise name="comparison" toName="answer1,answer2"/>'
        '<Text name="answer1" value="$answer1"/><Text name="answer2" value="$answer2"/>',
        ("prompt", "answer1", "answer2"),
        (),
    ),
    "pairwise classification": (
        '<Header>Select one of two items</Header><Pairwise name="pw" toName="text1,text2"/>'
        '<Text name="text1" value="$pairText1"/><Text name="text2" value="$pairText2"/>',
        ("pairText1", "pairText2"),
        (),
    ),
    "LLM ranker": (
        '<Header value="Task: "/><Text name="task" value="$task"/><Text name="prompt" value="$prompt"/>'
        '<List name="answers" value="$items" title="All Results"/>'
        '<Ranker name="rank" toName="answers"><Bucket name="biased" title="Biased"/></Ranker>',
        ("task", "prompt", "items"),
        (),
    ),
    "document retrieval": (
        '<Text name="query" value="$query"/><View style="width:50%"><Text name="text1" value="$text1"/>'
        '<Text name="text2" value="$text2"/><Text name="text3" value="$text3"/></View>',
        ("query", "text1", "text2", "text3"),
        (),
    ),
    "visual question answering": (
        '<Image name="image" value="$image"/>'
        + "".join(f'<View style="display: grid"><Text name="q{i}" value="$q{i}"/></View>' for i in range(1, 5)),
        ("q1", "q2", "q3", "q4"),
        ("the <Image> 'image' is not read",),
    ),
    "tabular data": (
        '<Header value="Table with {key: value} pairs"/><Table name="table" value="$item"/>',
        ("item",),
        (),
    ),
    "a tweet between fixed words": (
        '<Header name="username" value="John Doe"/><Text name="handle" value="@johndoe" style="color:gray;"/>'
        '<Text name="tweet" value="$tweet"/><Text name="likes" value="❤️ 7"/>',
        ("tweet",),
        (),
    ),
    "title, body and where it stands": (
        '<Text name="title" value="$title"/><Text name="text" value="$text"/><Text name="source" value="$source"/>',
        ("title", "text", "source"),
        (),
    ),
    "an image with its caption": (
        '<Image name="pic" value="$pic"/><Text name="text" value="$text"/>',
        ("text",),
        ("the <Image> 'pic' is not read",),
    ),
    "panels that fold": (
        '<Collapse><Panel value="Context"><Text name="context" value="$context"/></Panel></Collapse>'
        '<HyperText name="body" value="$html" inline="true"/>',
        ("context", "html"),
        (),
    ),
    "words with two fields beside the text": (
        '<Text name="meta" value="From: $sender, subject: $subject"/><Text name="text" value="$body"/>',
        ("From: $sender, subject: $subject", "body"),
        (),
    ),
    "HTML around fields": (
        '<HyperText name="text" value="&lt;h1&gt;$title&lt;/h1&gt;&lt;p&gt;$body&lt;/p&gt;"/>',
        ("<h1>$title</h1><p>$body</p>",),
        (),
    ),
    "the same field as text and in what is shown after a choice": (
        '<Text name="text" value="$text"/><View visibleWhen="choice-selected" whenTagName="mood">'
        '<Text name="again" value="$text"/><Text name="reason" value="$reason"/></View>',
        ("text",),
        ("'reason' is not always shown",),
    ),
    "the page's address beside its text": (
        '<HyperText name="page" value="$url" valueType="url"/><Text name="text" value="$text"/>',
        ("text",),
        ("'url' holds addresses, not texts",),
    ),
}


@pytest.mark.parametrize(("form", "fields", "left_out"), READ.values(), ids=READ)
def test_the_texts_of_a_posted_form(form: str, fields: tuple[str, ...], left_out: tuple[str, ...]) -> None:
    texts = texts_of(fromstring(f"<View>{form}</View>"), ())
    assert tuple(text.field for text in texts.read) == fields
    assert texts.left_out == left_out


def test_fields_in_headings_are_named_as_not_read() -> None:
    form = '<Header value="$title"/><Markdown value="**$text**"/><Header value="Read"/><Text name="t" value="$text"/>'
    texts = texts_of(fromstring(f"<View>{form}</View>"), ())
    [said] = texts.around
    assert said == '<Header value="$title"> is not read: show it in a <Text> with a name to have it learnt from.'


def test_fields_in_what_stands_inside_of_a_heading_are_named_too() -> None:
    inside = "<Header value='Read'>$title</Header><Markdown>**$summary** of $text</Markdown>"
    panel = f'<Collapse><Panel value="$context">{text("text")}</Panel></Collapse>'
    config = parse_label_config(view(inside, panel, choices()))
    assert config.fields == ("text",)
    assert [said.split(">")[0] for said in config.unlearned] == [
        '<Header value="$title"',
        '<Markdown value="**$summary** of $text"',
        '<Panel value="$context"',
    ]


REFUSED = {
    "intent classification of sounds": ('<Audio name="audio" value="$audio"/>', "Add a transcript as a field"),
    "mammograms under fixed words": (
        '<Text name="birads_legend" value="BI-RADS: 0 = Incomplete"/><Image name="left_cc" value="$img1"/>',
        "<Image> is not classified",
    ),
    "PDF classification": ('<Pdf name="pdf" value="$pdf"/>', "Add the words in it as a field"),
    "videos": ('<Video name="video" value="$video"/>', "Question and labels stay as they are"),
    "outliers": ('<TimeSeries name="ts" value="$csv" valueType="url"/>', "<TimeSeries> is not classified"),
    "a table at an address": ('<Table name="table" value="$csv" valueType="csv|url"/>', "holds addresses, not texts"),
    "a dialogue at an address": (
        '<Paragraphs name="dialogue" value="$url" valueType="url" layout="dialogue"/>',
        'set valueType="json"; labels and names stay as they are',
    ),
    "a title in the header alone": ('<Header value="$title"/>', 'One <Text name="text" value="$text"/> or more'),
}


@pytest.mark.parametrize(("form", "said"), REFUSED.values(), ids=REFUSED)
def test_a_posted_form_without_words_is_refused_with_what_leaves_its_labels(form: str, said: str) -> None:
    with pytest.raises(RefusedConfigError) as refusal:
        texts_of(fromstring(f"<View>{form}</View>"), ())
    assert said in str(refusal.value)
