"""A hundred questions to a service desk, each in four variants as different people would type them."""

from collections.abc import Iterator

QUESTIONS = """\
How do I reset my password?
Where can I see my last invoice?
Why was my card charged twice?
Can I change the address of an order?
How long does delivery to Norway take?
Is there a discount for students?
How do I cancel my subscription?
What is the warranty on the headphones?
Can I return a gift without the receipt?
How do I delete my account?
Which size should I order for wide feet?
Do you ship to post boxes?
Why is my parcel still in customs?
How can I speak to a person?
Is the blue jacket waterproof?
When does the summer sale start?
Can I pay by bank transfer?
How do I add a second user to my plan?
Why does the app close when I open a photo?
What happens to my data when I leave?
Can I pause my membership for a month?
How do I connect the printer to the network?
Is breakfast included in the price?
What time is check-out on Sundays?
Are dogs allowed in the hotel?
How far is the station from the airport?
Can I bring my bicycle on the night train?
Do children under six travel free?
Where do I collect a lost suitcase?
Is there a charger at every seat?
How much luggage may I take on board?
Can I move my flight to another day?
What do I do if I miss my connection?
How do I get a refund for a late train?
Is the museum open on public holidays?
Do I need to book a table in advance?
Which dishes contain nuts?
Can you cater for forty people?
Is the soup suitable for vegans?
How long does a battery last in winter?
What fuel does the small generator need?
How often should the filter be cleaned?
Why does the washing machine leak?
Which lamp fits the old fridge?
How do I descale the coffee maker?
Can the oven be built in under a worktop?
Is the paint safe for a nursery?
How many litres do I need for two walls?
When can I cut the grass after sowing?
Which roses grow in the shade?
How deep should tulip bulbs be planted?
What keeps slugs away from lettuce?
Can I prune the apple tree in March?
How do I register to vote from abroad?
Which documents do I need for a new passport?
Where do I pay a parking fine?
When is the bulky waste collected?
How do I object to a building permit?
Do I need a licence to fish in the lake?
Can I get married on a Saturday at the town hall?
How do I report a broken street light?
What is the deadline for the tax return?
Are travel costs to work deductible?
How is holiday pay calculated?
Who signs my time sheet while the manager is away?
How many sick days am I allowed?
Can I work from home on Fridays?
Where do I hand in my old laptop?
How do I get access to the shared drive?
Why is the video call so choppy?
Which version of the software do we use?
How do I export a table to a spreadsheet?
Can two people edit the same document?
What does error code 502 mean?
How do I roll back the last update?
Where are the backups kept?
How large may an attachment be?
Why did my message end up in spam?
Can I schedule a post for tomorrow?
How do I turn off notifications at night?
What is the interest on a savings account?
How do I block a stolen card?
Is there a fee for withdrawing cash abroad?
Can I raise the limit of my overdraft?
When does my mortgage rate end?
How do I insure a rented car?
Does my policy cover storm damage?
What should I do after an accident?
How do I change my doctor?
Do I need a referral to see a dentist?
Can I get my test results online?
Which vaccines do I need for Kenya?
Should the tablets be taken before meals?
Is it safe to drive with this medicine?
How do I book a room in the library?
Can I renew a book that is overdue?
When is the entrance exam?
How many credits does the course give?
Is there a piano in the practice rooms?
Where do I apply for a scholarship?
""".splitlines()


def in_four_variants() -> Iterator[tuple[int, str]]:
    """All 400 texts, each with the number of its question: as it is, polite, with a slip, and without care."""
    for number, question in enumerate(QUESTIONS):
        bare = question.rstrip("?")
        yield number, question
        yield number, f"Hello, {bare[0].lower()}{bare[1:]}, please? Thank you!"
        yield number, _with_a_slip(question)
        yield number, f"{bare.lower()} ??"


def _with_a_slip(question: str) -> str:
    """Two letters inside the longest word have changed places."""
    longest = max(question.rstrip("?").split(), key=len)
    middle = len(longest) // 2
    slipped = longest[: middle - 1] + longest[middle] + longest[middle - 1] + longest[middle + 1 :]
    return question.replace(longest, slipped)
