"""What customers of the simulated shop write about, how they say it, and what the shop answers.

`[a|b]` is one of several ways to say it, {thing}, {when}, {colour} and {number} are filled in. Words are shared between
topics on purpose: who counts words confuses a refund with a discount, and an exchange with a complaint.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """Asks of one intent that the same answers fit. `share` is of all messages with a topic."""

    intent: str
    share: float
    asks: tuple[str, ...]
    replies: tuple[str, ...]


TOPICS = (
    Topic(
        "order_status",
        0.17,
        (
            "[where is|where's|any news about] my {thing}? [it was ordered|I paid for it] {when}",
            "[still waiting|been waiting] for the {thing} since {when}",
            "the {thing} [has not come|never turned up|is not here], can you [check|look into it|ask them]?",
            "[when will|when does] [my parcel|my order|the {thing}] [arrive|get here|come]?",
            "the page says delivered but [I got nothing|nobody brought it|there is no parcel]",
        ),
        (
            "It left our warehouse and should be with you in two days.",
            "The carrier has it: www.ship.example",
        ),
    ),
    Topic(
        "order_status",
        0.1,
        (
            "[is there|can I have|send me] a tracking [number|code|link] for the {thing}?",
            "how do I [follow|track|trace] [my parcel|what I bought {when}]?",
            "the [code|link] you sent [does not work|shows nothing], I want to see where my {thing} is",
        ),
        ("The link to follow your parcel is in your account under Orders.",),
    ),
    Topic(
        "return",
        0.11,
        (
            "[I would like|I want|I need] to send the {thing} back, it [does not fit|is too small|is not for me]",
            "how do I [return|send back] [a {thing}|what I bought {when}]?",
            "I changed my mind about the {thing}. [what now|what do I do with it|where does it go]?",
            "[can I bring|may I take] the {thing} back to [a shop|one of your shops]?",
        ),
        ("Of course. Print the label in your account and bring the parcel to any shop.",),
    ),
    Topic(
        "return",
        0.08,
        (
            "[when do I get|where is] my money [back|for the {thing}]? I [returned|sent] it {when}",
            "still no refund for the {thing}",
            "you got my parcel {when} and [my card shows nothing|I see nothing on my account]",
        ),
        (
            "A refund takes up to five days after the parcel reached us.",
            "We have sent the money; your bank needs a day.",
        ),
    ),
    Topic(
        "return",
        0.05,
        (
            "can I [swap|exchange|change] the {thing} for [one in {colour}|another size|a larger one]?",
            "[wrong size|too tight], do you have the {thing} [bigger|in another size] instead?",
        ),
        ("Order the other size; what you send back is credited when it reaches us.",),
    ),
    Topic(
        "product_question",
        0.09,
        (
            "[is|do you have|does] the {thing} [also come in|in] {colour}?",
            "which [colours|sizes] [does the {thing} come in|of the {thing} are there]?",
            "is the {thing} [back|available] [again|soon]? it says sold out",
        ),
        ("What is on the page is what we have. You can ask to be told when it is back.",),
    ),
    Topic(
        "product_question",
        0.08,
        (
            "[does the {thing} come with|is there] a [warranty|guarantee]?",
            "how long [is the {thing} covered|does the {thing} last]? what if it [breaks|stops working] later?",
        ),
        ("It comes with two years of warranty.",),
    ),
    Topic(
        "complaint",
        0.08,
        (
            "the {thing} [arrived|came] [broken|scratched|in pieces]",
            "the {thing} [stopped working|gave up|fell apart] after [a week|two days]",
            "[there is a part missing|something is missing] from the {thing} I got {when}",
            "opened the parcel and the {thing} is [cracked|bent|dirty]. this is the second time",
        ),
        ("We are sorry. A new one is on its way, free of charge.", "That should not happen. Keep it, we refund you."),
    ),
    Topic(
        "complaint",
        0.05,
        (
            "I [got|received] a {colour} {thing}, [that is not what I ordered|not mine|I wanted another] {when}",
            "[wrong item|this is the wrong one], I paid for a {thing} and [you sent|there is] something else",
        ),
        ("Sorry for the mix-up. The right one leaves today; the courier takes the wrong one back.",),
    ),
    Topic(
        "promotion",
        0.07,
        (
            "[my|the] [discount|promo|voucher] code [does not work|is refused] [on|for] the {thing}",
            "where do I [enter|put] the [code|voucher] from the newsletter?",
            "checkout [ignores|does not take] my code",
        ),
        ("The code holds for full-price products only.",),
    ),
    Topic(
        "promotion",
        0.06,
        (
            "I bought the {thing} {when}, now it [is cheaper|costs less]. can I [get the difference|have money back]?",
            "[will|when will] the {thing} be [on sale|cheaper] [again|soon]?",
            "you dropped the price of my {thing} [the day after|right after] I paid",
        ),
        ("We cannot say what will be on sale; the newsletter will. Paid prices stay.",),
    ),
    Topic(
        "cancel",
        0.06,
        (
            "[please cancel|cancel|stop] [my order of {when}|the {thing}]",
            "I ordered the {thing} twice [by mistake|by accident], [I only want one|take one out]",
            "[no longer need|do not want] the {thing}, it [has not shipped|is not sent] yet, right?",
        ),
        ("Done; nothing will be charged.", "It was packed already. Please refuse the parcel."),
    ),
    Topic(
        "cancel",
        0.04,
        (
            "can I still [change|correct] the address of [my order|the {thing}]?",
            "[wrong street|old address] on my order of {when}, [can you fix it|please change it]",
        ),
        ("The address is changed as long as the parcel is not packed; see your account.",),
    ),
)

OUTSIDE_REPLY = "That is nothing we can help with."
OUTSIDE = (
    "where is the nearest [post office|bus stop] from your [shop|warehouse]?",
    "when does the train [arrive|come] on Friday? I got no answer {when}",
    "please cancel my [gym membership|doctor's appointment] {when}",
    "can I [return|give back] a library book with you?",
    "[my bank|the app of my bank] shows nothing, is my account [broken|closed]?",
    "I [lost|found] a {thing} in the street {when}, who do I [call|write to]?",
    "is there a discount [at the cinema|for the museum|on trains] {when}?",
    "the {thing} my sister gave me is nice, [how old is she|what does she want back]?",
    "I ordered a pizza {when} and it [never turned up|came cold]",
    "can you track [my phone|my cat|my husband]?",
    "do you [buy|take] used {thing}? mine is {colour}",
    "can you repair a {thing} that I bought somewhere else?",
    "what [size|colour] is the moon {when}?",
    "I want to [exchange|swap] money, what is the code of your bank?",
    "[wrong number|this was meant for somebody else], sorry",
    "my address is [old|a castle], do you like it?",
    "[do you have|are there] jobs [at your shop|in the warehouse]? I worked with {thing} before",
    "can I park [near the shop|in front of your shop] on Friday?",
    "[what is|tell me] the weather {when}",
    "who won the match {when}?",
    "I am a student and [write a paper about|study] online shops, [may I ask you a few questions|can we talk]?",
    "we make {thing} and [want to sell through you|look for partners]",
    "[who is your boss|who owns this company]?",
    "please [sponsor|support] our [football club|school]",
    "my neighbour's dog ate my {thing} lol",
    "ok",
    "thanks, [bye|that is all]",
    "[are you a robot|is anybody there]?",
    "{number}",
    "wo ist der nächste [bahnhof|strand]?",
    "今天 天气 怎么样",
    "🙂🙂🙂",
    "sing me a song about a {colour} {thing}",
    "how do I [cook rice|learn to drive|return to my old school]?",
    "is it true that {colour} is [out of fashion|unlucky]?",
    "[call me|ring me back], it is private",
)
"""What no topic is about."""

VAGUE = (
    "it is about [my order of {when}|the {thing}]",
    "[hello|hi], I have a [question|problem] with the {thing}",
    "need help with the {thing} [I bought {when}|please]",
    "the {thing}, order {number}",
)
"""What any topic may be behind."""

BEFORE = (
    "[hi|hello|hey|good morning|dear team]",
    "I [wrote|called] {when} already",
    "I love your shop",
    "I [bought|ordered] a {thing} {when}",
    "not about the delivery this time",
    "I do not want to [cancel|return] anything",
    "[sorry to bother you|quick one]",
    "nothing is broken",
)
AFTER = (
    "[thanks|thank you|cheers|best]",
    "[please hurry|it is urgent|I need it {when}]",
    "my order number is {number}",
    "write to {email}",
    "you can call me on {phone}",
    "[otherwise|if not] I want my money back",
    "the discount was nice by the way",
)
WHEN = ("yesterday", "on Monday", "last week", "ten days ago", "on Friday", "this morning", "in May")
