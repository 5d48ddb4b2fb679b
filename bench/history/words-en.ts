import type { Words } from './words-zh.ts';

/** English retail talk, by the same rules. */
const of = (text: string): readonly string[] => text.split(',').map((word) => word.trim());

export const english: Words = {
  greetings: [
    '{Hi|Hello|hey|Hey there|hi there|Good morning|Good evening}{,|!|.|}',
    '{Hi|Hello}{, quick question| I need some help please|, is anyone there?|, hoping you can help}',
    'anyone {there|around}?',
  ],
  agentGreetings: [
    '{Hi|Hello|Hi <name>}{,|!} {this is <agent>|you’re through to <agent>|<agent> here}{. How can I help?| from the care team, what can I do for you today?|, give me a second to read your message.}',
    'Thanks for {waiting|getting in touch|your patience}{ <name>|}, {let me take a look|how can I help|I’m just opening your order}{.|}',
  ],
  thanks: [
    '{ok|Ok|great|Great|perfect|awesome|Brilliant|cool}{,| -|} {thanks|thank you|thanks a lot|cheers|thx}{!|| so much| for your help}',
    '{That’s all|nothing else|I’m good now}{, thanks|. Have a nice day|}',
    '{Really appreciate it|You’ve been very helpful|that was quick}{!|, will leave a review|}',
  ],
  farewells: [
    '{You’re welcome|My pleasure|No problem at all|Happy to help}{!|,|.} {Have a lovely <daypart>|Enjoy your <product>|Reach out any time}{.|!}',
    '{Take care|Bye for now}{ <name>|}{ and thanks for shopping with us|, do rate this chat if you have a moment|}',
  ],
  shortAnswers: of(
    'yes, no, ok, sure, yep, nope, hmm, I see, not yet, one sec, done, just sent it, that one, correct, really?, ???, lol, never mind, maybe, I think so, let me check, how long, still there?, fine, got it, why, oh no, sounds good, not really',
  ),
  asides: [
    'it’s {for|a present for} <person>’s {birthday|wedding|graduation|new place} {next week|on Saturday|at the end of the month}{ so I’m a bit worried|, hope it makes it|}',
    'I {bought|ordered} a <product> from {you|your <city> store|the app} {last year|in spring|a while ago} and {it still works fine|it broke within weeks|the colour was way off|never had an issue}',
    '<person> {says|thinks|insists} {it looks cheap|the <color> one is nicer|we should get the bigger one|it’s too expensive}',
    'sorry {for the late reply|I missed your message}, {was driving|stuck in a meeting|the kids were loud|my phone died|on the train}',
    '{saw|read} {a review|someone on reddit|a video} saying {it runs small|the battery dies fast|it fades after washing|support is great}, {is that true|any truth to that|just checking}',
    'I live {on the <n>th floor without a lift|in a gated building|out in the country|on campus}, {can they bring it up|couriers never find it|nobody is home before six}',
    'the {dog|cat|toddler|old man} {chewed the <part>|loves it|spilled coffee over it|threw away the box}{, can anything be done|, my bad|}',
    '{the price|it} was <price> {two days ago|at <brand>|before the sale}, {can you match it|that’s annoying|what happened}',
  ],
  notes: [
    'customer {upset|in a hurry|long-time member}, {offered <n>% off|approved refund of <price>|please prioritise}',
    '{warehouse|carrier|billing} {says|confirmed} {out of stock|answer by <time>|wrong label|resend ok}',
    'see order <order>, {<agent> promised|we agreed} {free return|replacement <part>|price match}',
  ],
  topics: [
    {
      ask: [
        '{where is|any news on|can you track} my {order|parcel|<product>}{?| please| - ordered <when>}',
        'order <order> {still hasn’t shipped|says delivered but it’s not here|has been stuck in <city> for <n> days}{|?!|, what’s going on}',
      ],
      more: [
        'tracking {number is|says} <tracking>',
        'can you {send it with <courier>|expedite it|hold it at the depot|change the delivery day}?',
        'the {driver|neighbour|front desk} {never rang|hasn’t got it|says to ask you}',
        'it’s been <n> days {now|already}, {I need it by <time>|otherwise cancel it|this is ridiculous}',
        'will it {get to <city>|arrive} {before <time>|this week}?',
      ],
      answer: [
        'I can see {it|parcel <tracking>} {left our <city> warehouse|was scanned in <city>|is out for delivery} {this morning|<when>|at <clock>}{, so it should be with you by <time>|. <courier> will text you|}.',
        'I’m {so sorry|really sorry} about {that|the delay}: <reason>. {It will ship by <time>|We’ve bumped it to the front|I’ve asked the warehouse to rush it}.',
        'I’ve {opened a trace with <courier>|called the depot|raised this with the carrier}{ and they’ll reply by <time>|, reference <ref>|}.',
        'Could you {check with your neighbours|look in the parcel box|check the photo on the tracking page}? If {it’s not there|it doesn’t show up} we’ll {resend it|refund you}.',
      ],
    },
    {
      ask: [
        'I {want|would like|need} to return {my|the} <product>, {it|the <part>} <fault>',
        '{my|the} <product> <fault>{, what now?|. Can I get a replacement?| and I want my money back}',
        'how {do returns work|long do I have to return}{ for sale items|}?',
      ],
      more: [
        'I {attached|sent} {a photo|two pictures|a short video}{ of the <part>|}, {you can see it|it’s clearly broken|hard to capture}',
        'I {don’t have the box|lost the receipt|removed the tags|only used it once}{, is that ok|, does that matter|}',
        'when {will I get|do I see} the {refund|<price>}{ back|}? it’s been <n> days',
        '{could I|can I} {swap for <color>|go a size up|just keep it for a discount}?',
      ],
      answer: [
        '{No problem|Of course}, {go to your orders and choose return|I’ve started the return for you}{; the label is on its way to <email>|, code <ref>|}.',
        'Please send it to <address>, attn. <agent>{, and include the order number|. Drop it at any <courier> point|}.',
        'Could you {send a photo of|describe} the <part>{ and the label on the box|, ideally in daylight|}? {I’ll pass it to quality|It helps us file it}.',
        'Your refund of <price> {was issued|has been approved}{ today|}{, allow <n> working days|. Banks usually take <n> days|}.',
        '{I completely understand|That’s not the experience we want}. {I can offer <n>% back|We’ll cover the postage|I can send a new <part>}{, would that work?|, let me know.}',
      ],
    },
    {
      ask: [
        'does the <product> {run true to size|come in <color>|work with my <thing>|have a warranty}?',
        'what {size|one} should I {get|choose}, I’m <height> and {usually a <size>|<weight> lbs}',
        'what’s the difference between the <product> and the <product>{?| you have on sale?}',
      ],
      more: [
        'it’s for {<person>|a small flat|daily use|travel}, {budget is <price>|needs to last|nothing fancy}',
        '{does it|will it} {shrink|make much noise|smell|fit under a bed|last all day}{ you think|}?',
        'is the <color> {closer to <color>|in stock in <size>|the same as in the photo}?',
        '{would|could} I use it with {a <thing>|an old <thing>}?',
      ],
      answer: [
        'For your height I’d {go with|suggest} a <size>; {it’s a relaxed cut|the <size> will be snug|between sizes, go up}.',
        'It’s made of {<material>|<material> and <material>}, so {wash it cold|it’s easy to wipe clean|it breathes well|keep it out of the dryer}.',
        'We have <n> left in <color>{, shall I put one aside?|; the next delivery is <time>.|, it’s been popular.}',
        'It {comes with|has} a <n>-month warranty{ and you only need the order number|, wear and tear excluded|}, {we repair in <city>|we simply swap it}.',
        'Mainly the <part> and {the weight|capacity|battery}: {for daily use the cheaper one is fine|if it’s a gift I’d take the set}.',
      ],
    },
    {
      ask: [
        '{my|the} {code|voucher|gift card} <ref> {doesn’t work|has expired|was already used apparently}{|, help|?}',
        'will the <product> be {cheaper on Black Friday|in the sale|discounted soon}?',
        'I {just bought|paid for} it and now it’s <n>% off{, can I get the difference|... not happy|}',
      ],
      more: [
        'checkout {says not eligible|still shows <price>|keeps spinning|throws an error}',
        'can I {combine it with|stack} {free shipping|member points|the newsletter code}?',
        'my account {email is <email>|number ends in <n>|is gold}',
      ],
      answer: [
        'That code {needs a basket of <price>|only covers full-price items|ran out <when>}{; you’re <n> short|, sorry|}.',
        'I’ve {added <n> points|credited <price>|put a new code <ref>} {to your account|on the order}{, valid until <time>|, refresh and try again|}.',
        'We do price-match within <n> days, so {I’ve refunded the difference|you’ll get <price> back|just reply with the order number}.',
      ],
    },
    {
      ask: [
        '{can I|need to} change the {address|phone number|name} on <order>{, it hasn’t shipped|?| asap}',
        '{could you|please} send {an invoice|a VAT invoice|the receipt} for <order>{ to <email>|}',
        '{payment failed|I was charged twice|my card got declined}{ but the money is gone|, what do I do|?}',
      ],
      more: [
        'new address: <address>',
        'company is <company>, VAT <tax>',
        '{bank|paypal|the app} {shows it went through|says pending|wants a code}',
      ],
      answer: [
        'Done: it now goes to <address>. {Could you double-check?|Anything else?|You’ll get a new confirmation.}',
        'The invoice {is on its way to <email>|can be downloaded from your order|carries <company> now}.',
        'The {second|pending} charge of <price> is {only a hold|being reversed} and {drops off|comes back} within <n> days.',
        'It’s {already with <courier>|packed}, so {I can’t change it any more|only they can redirect it|refuse it and we’ll resend}.',
      ],
    },
  ],
  slots: {
    product: of(
      'rain jacket, running shoes, air fryer, robot vacuum, headphones, power bank, backpack, thermos, suitcase, yoga mat, jeans, cardigan, face cream, lipstick, stroller, cat tree, mattress, duvet set, desk lamp, toothbrush, hair dryer, espresso machine, blender, kettle, monitor, keyboard, router, tablet, watch, necklace, wool coat, tent, bike helmet, tea set, olive oil, office chair, curtains, sofa bed, dutch oven, camera bag, phone case, sneakers, linen shirt, hiking boots, baby monitor, bookshelf',
    ),
    color: of(
      'black, white, navy, burgundy, sage, light grey, khaki, dusty blue, blush, oat, caramel, silver, teal, mustard',
    ),
    size: of('XS, S, M, L, XL, 6, 7.5, 8, 9, 10.5, 12, 14'),
    city: of(
      'Leeds, Rotterdam, Chicago, Dallas, Lyon, Dublin, Austin, Toronto, Hamburg, Bristol, Reno, Louisville, Glasgow, Antwerp, Sydney, Perth, Newark, Malmö, Poznań, Singapore',
    ),
    courier: of('UPS, FedEx, DHL, DPD, USPS, Royal Mail, Evri, PostNL, GLS'),
    person: of(
      'my mum, my dad, my wife, my husband, my daughter, my son, a friend, my sister, my boss, my partner, grandma, my nephew',
    ),
    brand: of('Amazon, the store next door, a competitor, Target, your own site, John Lewis'),
    when: of(
      'yesterday, on Monday, last week, two days ago, on the 3rd, last night, over the weekend, in May',
    ),
    time: of('Friday, tomorrow noon, the 14th, Monday morning, 6 pm, end of the week, the 28th, Thursday'),
    clock: of('7:42, 9:15, 11:03, 13:37, 16:20, 18:55'),
    daypart: of('day, evening, weekend, afternoon, rest of your week'),
    fault: of(
      'arrived scratched, has a broken zip, is missing a piece, is the wrong size, came in the wrong colour, won’t turn on, leaks, smells odd, has a dead pixel, is coming apart at the seam, won’t charge, is not as described, was crushed in transit, has expired, won’t pair, rattles, sheds everywhere, has a crack in the base',
    ),
    part: of(
      'zip, sole, sleeve, seam, charging port, lid, wheel, collar, filter, cable, handle, screen, inner pot, strap, left ear cup',
    ),
    thing: of(
      'iphone, android phone, travel adapter, dishwasher, induction hob, macbook, car charger, tripod, crib, gas stove',
    ),
    reason: of(
      'we had far more orders than expected, the system was down overnight, it’s a pre-order, the roads were closed by snow, the carrier is on strike, a supplier is late, we were counting stock',
    ),
    material: of(
      'cotton, merino wool, polyester, leather, stainless steel, silicone, linen, goose down, oak, ceramic, bamboo',
    ),
    company: of(
      'Northgate Ltd, Blue Heron Studio, Fairmont Dental, Okafor & Sons, Pixel Forge Inc, St Mary’s School',
    ),
    road: of(
      'Elm Street, Station Road, Harbour View, 5th Avenue, Kingsway, Maple Drive, Old Mill Lane, Queen Street, Sunset Blvd, Park Crescent',
    ),
    surname: of(
      'Smith, Johnson, Williams, Brown, Garcia, Miller, Davis, Martinez, Lopez, Wilson, Anderson, Taylor, Moore, Lee, Thompson, White, Clark, Walker, Young, Nguyen, O’Brien, Kowalski, Patel, Schmidt',
    ),
    given: of(
      'James, Mary, Linda, Sam, Barbara, Omar, Jessica, Tom, Karen, Priya, Lisa, Matt, Sofia, Anthony, Zoe, Mark, Emily, Steven, Chloe, Andrew, Hannah, Liam, Grace, Diego',
    ),
  },
};
