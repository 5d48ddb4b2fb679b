import { messageEvent, stateEvent } from '../../src/actors/session-events.ts';
import { senderJson } from '../../src/actors/subscribers.ts';
import { systemSender, type EventBody, type Person, type Sender } from '../../src/rules/session.ts';
import { english } from './words-en.ts';
import { chinese, type Topic, type Words } from './words-zh.ts';

/**
 * Retail talk that looks real: customers with a question or two, agents with answers, order numbers, addresses, asides,
 * ids as clients make them, typing times. The same seed makes the same sessions. The events are in the wire form that
 * the session actor makes: by its own functions.
 */
export interface TalkSession {
  readonly session: string;
  readonly customer: Person;
  readonly agent: Person;
  readonly group: string;
  readonly language: 'zh' | 'en';
  readonly openedAtMs: number;
  readonly closedAtMs: number;
  readonly events: readonly { readonly seq: number; readonly json: string }[];
}

export interface TalkOptions {
  readonly seed: number;
  readonly sessions: number;
  /** Of 100 sessions those in Chinese; 50 by default. */
  readonly chinesePercent?: number;
  /** When the first one is opened: milliseconds since 1970. */
  readonly startMs?: number;
}

/** 10 to 40 events a session, 50 agents, customers of whom one in four comes again. */
export function* talkSessions(options: TalkOptions): Generator<TalkSession> {
  const { seed, sessions, chinesePercent = 50, startMs = Date.UTC(2026, 0, 5, 1) } = options;
  const dice = new Dice(seed);
  const staff = { zh: agentsOf(dice, chinese), en: agentsOf(dice, english) };
  const known: Record<'zh' | 'en', Person[]> = { zh: [], en: [] };
  let at = startMs;
  for (let number = 0; number < sessions; number += 1) {
    at += dice.below(4000);
    const language = dice.below(100) < chinesePercent ? 'zh' : 'en';
    const words = language === 'zh' ? chinese : english;
    const regulars = known[language];
    const back = dice.below(4) === 0 ? regulars[dice.below(regulars.length || 1)] : undefined;
    const customer = back ?? { id: dice.uuid7(at), name: customerName(dice, words) };
    if (back === undefined && regulars.length < 5000) regulars.push(customer);
    const agent = dice.pick(staff[language]);
    yield new Talk(dice, words, language, customer, agent, at).run();
  }
}

/** xorshift32, well mixed at the start. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
    for (let turn = 0; turn < 8; turn += 1) this.next();
  }

  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 32) * limit);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  digits(count: number): string {
    let text = '';
    while (text.length < count) text += this.below(10);
    return text;
  }

  hex(count: number): string {
    let text = '';
    while (text.length < count) text += this.below(16).toString(16);
    return text;
  }

  /** As our pages make them: the time, no counter, the rest chance. */
  uuid7(ms: number, counter = '000'): string {
    const time = ms.toString(16).padStart(12, '0');
    const rest = `${this.pick([...'89ab'])}${this.hex(15)}`;
    return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-${rest.slice(0, 4)}-${rest.slice(4)}`;
  }

  uuid4(): string {
    const hex = `${this.hex(12)}4${this.hex(3)}${this.pick([...'89ab'])}${this.hex(15)}`;
    return [0, 8, 12, 16, 20].map((from, i) => hex.slice(from, [8, 12, 16, 20, 32][i])).join('-');
  }

  /** Short waits are common, long ones happen. */
  waitMs(medianMs: number): number {
    const u = (this.next() + 1) / (2 ** 32 + 1);
    return Math.round(medianMs * Math.exp(0.9 * Math.log(u / (1 - u)) * 0.7)) + 40;
  }
}

function agentsOf(dice: Dice, words: Words): Person[] {
  return Array.from({ length: 25 }, () => ({
    id: dice.uuid7(1_760_000_000_000),
    name: fullName(dice, words),
  }));
}

function fullName(dice: Dice, words: Words): string {
  const [surname, given] = [dice.pick(words.slots['surname']!), dice.pick(words.slots['given']!)];
  return words === chinese ? `${surname}${given}` : `${given} ${surname}`;
}

function customerName(dice: Dice, words: Words): string {
  const kind = dice.below(10);
  if (kind < 6) return fullName(dice, words);
  if (kind < 8) return `${words === chinese ? '访客' : 'Visitor'} ${dice.digits(4)}`;
  return dice.pick(words.slots['given']!).toLowerCase() + dice.digits(dice.below(4));
}

/** One session from its opening to its end. */
class Talk {
  readonly #dice: Dice;
  readonly #words: Words;
  readonly #language: 'zh' | 'en';
  readonly #customer: Person;
  readonly #agent: Person;
  readonly #openedAt: number;
  readonly #session: string;
  readonly #isOurPage: boolean;
  readonly #events: { seq: number; json: string }[] = [];
  readonly #fixed = new Map<string, string>();
  readonly #used = new Set<string>();
  #at: number;

  constructor(dice: Dice, words: Words, language: 'zh' | 'en', customer: Person, agent: Person, at: number) {
    this.#dice = dice;
    this.#words = words;
    this.#language = language;
    this.#customer = customer;
    this.#agent = agent;
    this.#openedAt = at;
    this.#at = at;
    this.#session = dice.uuid7(at, dice.hex(3));
    // Our pages make ids that hold the time; other clients take any UUID.
    this.#isOurPage = dice.below(10) < 7;
  }

  run(): TalkSession {
    const { customer, agent, group } = { customer: this.#customer, agent: this.#agent, group: this.#group() };
    const wanted = 11 + this.#dice.below(29);
    this.#open(group);
    this.#state(systemSender, { type: 'assigned', agent });
    this.#talk(wanted - (this.#dice.below(3) === 0 ? 2 : 1));
    const byCustomer = this.#dice.below(5) === 0;
    this.#at += this.#dice.waitMs(60_000);
    this.#state(this.#from(byCustomer ? customer : agent), { type: 'closed', reason: 'resolved' });
    const closedAtMs = this.#at;
    if (this.#dice.below(3) === 0) this.#rate();
    const { session, language, openedAtMs, events } = {
      session: this.#session,
      language: this.#language,
      openedAtMs: this.#openedAt,
      events: this.#events,
    };
    return { session, customer, agent, group, language, openedAtMs, closedAtMs, events };
  }

  #group(): string {
    return this.#dice.pick(['default', 'default', 'after_sales', 'presales', 'vip']);
  }

  #open(group: string): void {
    const page = `https://shop.example.${this.#language === 'zh' ? 'cn' : 'com'}/${this.#dice.pick(['item', 'p', 'orders', 'cart'])}/${this.#dice.digits(7)}`;
    const attributes = {
      page,
      lang: this.#language === 'zh' ? 'zh-CN' : this.#dice.pick(['en-US', 'en-GB', 'en']),
      device: this.#dice.pick(['iPhone', 'Android', 'Windows', 'Mac']),
      ...(this.#dice.below(3) === 0 ? { order: this.#slot('order') } : {}),
    };
    const subject = this.#dice.below(3) === 0 ? this.#slot('product') : null;
    const body: EventBody = {
      type: 'opened',
      customer: this.#customer,
      group,
      channel: this.#dice.pick(['web', 'web', 'app', 'wechat']),
      subject,
      attributes,
      last_agent: this.#dice.below(4) === 0 ? this.#agent.id : null,
      previous: null,
    };
    this.#state(this.#from(this.#customer), body);
  }

  #talk(until: number): void {
    const { greetings, agentGreetings, thanks, farewells, topics } = this.#words;
    let topic: Topic = this.#dice.pick(topics);
    if (this.#dice.below(3) > 0) this.#say(this.#customer, this.#dice.pick(greetings));
    this.#say(this.#agent, this.#dice.pick(agentGreetings));
    this.#say(this.#customer, this.#fresh(topic.ask));
    while (this.#events.length < until - 2) {
      if (this.#dice.below(7) === 0) topic = this.#dice.pick(topics);
      this.#turn(topic);
    }
    if (this.#events.length < until) this.#say(this.#customer, this.#dice.pick(thanks));
    if (this.#events.length < until) this.#say(this.#agent, this.#dice.pick(farewells));
  }

  #turn(topic: Topic): void {
    const { shortAnswers, asides, notes } = this.#words;
    const kind = this.#dice.below(100);
    if (kind < 42) this.#say(this.#agent, this.#joined(topic.answer));
    else if (kind < 66) this.#say(this.#customer, this.#joined(topic.more));
    else if (kind < 75) this.#say(this.#customer, this.#dice.pick(shortAnswers));
    else if (kind < 89) this.#say(this.#customer, this.#joined(asides));
    else if (kind < 94) this.#say(this.#customer, this.#fresh(topic.ask));
    else if (kind < 97) this.#image();
    else {
      this.#at += this.#dice.waitMs(9000);
      this.#state(this.#from(this.#agent), { type: 'note', text: this.#expand(this.#dice.pick(notes)) });
    }
  }

  /** One sentence or two. */
  #joined(patterns: readonly string[]): string {
    const first = this.#fresh(patterns);
    if (this.#dice.below(3) > 0) return first;
    const between =
      this.#language === 'zh' ? this.#dice.pick(['，', '。', ' ', '～']) : this.#dice.pick(['. ', ', ', ' ']);
    return `${first}${between}${this.#fresh(patterns)}`;
  }

  /** People seldom say the same again: a pattern is used once a session; then another topic or an aside has its turn. */
  #fresh(patterns: readonly string[]): string {
    const { asides, topics } = this.#words;
    for (let attempt = 0; attempt < 12; attempt += 1) {
      const from = attempt < 4 ? patterns : attempt % 2 === 0 ? asides : this.#dice.pick(topics).more;
      const pattern = this.#dice.pick(from);
      if (this.#used.has(pattern)) continue;
      this.#used.add(pattern);
      return pattern;
    }
    return this.#dice.pick(asides);
  }

  #say(who: Person, pattern: string): void {
    const text = this.#expand(pattern);
    this.#at += this.#dice.waitMs(3000 + 280 * text.length);
    this.#message(who, { type: 'text', text });
  }

  #image(): void {
    this.#at += this.#dice.waitMs(15_000);
    const url = `/v1/sessions/${this.#session}/files/${this.#dice.uuid7(this.#at - 300, this.#dice.hex(3))}`;
    const name = `IMG_${this.#dice.digits(4)}.jpg`;
    const size = 90_000 + this.#dice.below(3_000_000);
    this.#message(this.#customer, { type: 'image', url, name, mime: 'image/jpeg', size });
  }

  #message(who: Person, body: object): void {
    const from = this.#from(who);
    const isV7 = from.kind === 'agent' || this.#isOurPage;
    const id = isV7 ? this.#dice.uuid7(this.#at - 20 - this.#dice.below(180)) : this.#dice.uuid4();
    const seq = this.#events.length + 1;
    const { json } = messageEvent(this.#session, seq, this.#at, from.id, senderJson(from), id, body);
    this.#events.push({ seq, json });
  }

  #state(from: Sender, body: EventBody): void {
    this.#at += this.#dice.below(400);
    const seq = this.#events.length + 1;
    const id = this.#dice.uuid7(this.#at, this.#dice.hex(3));
    this.#events.push({ seq, json: stateEvent(this.#session, seq, this.#at, from, id, body).json });
  }

  #rate(): void {
    this.#at += this.#dice.waitMs(20_000);
    const comment = this.#dice.below(3) === 0 ? this.#expand(this.#dice.pick(this.#words.thanks)) : null;
    this.#state(this.#from(this.#customer), { type: 'rated', score: 1 + this.#dice.below(5), comment });
  }

  #from(who: Person): Sender {
    return { kind: who === this.#agent ? 'agent' : 'customer', id: who.id, name: who.name };
  }

  #expand(pattern: string): string {
    const chosen = pattern.replace(/\{([^{}]*)\}/g, (_all, inner: string) =>
      this.#dice.pick(inner.split('|')),
    );
    return chosen.replace(/<(\w+)>/g, (_all, slot: string) => this.#slot(slot));
  }

  /** An order keeps its number and its parcel through a session; all else is drawn anew. */
  #slot(name: string): string {
    const fixed = this.#fixed.get(name);
    if (fixed !== undefined) return fixed;
    const value = this.#draw(name);
    if (['order', 'tracking', 'address', 'phone', 'email', 'courier'].includes(name))
      this.#fixed.set(name, value);
    return value;
  }

  #draw(name: string): string {
    const dice = this.#dice;
    const isChinese = this.#language === 'zh';
    switch (name) {
      case 'name':
        return isChinese ? this.#customer.name : this.#customer.name.split(' ')[0]!;
      case 'agent':
        return isChinese ? this.#agent.name : this.#agent.name.split(' ')[0]!;
      case 'order':
        return isChinese
          ? dice.digits(dice.pick([16, 18, 19]))
          : `${dice.pick(['#', 'SO-', 'A'])}${dice.digits(8)}`;
      case 'tracking':
        return `${dice.pick(isChinese ? ['SF', 'YT', '7', 'JT'] : ['1Z', 'JD', 'RM', '94'])}${dice.digits(12)}`;
      case 'ref':
        return Array.from({ length: 8 }, () => dice.pick([...'ABCDEFGHJKLMNPQRSTUVWXYZ23456789'])).join('');
      case 'phone':
        return `1${dice.pick(['38', '39', '58', '86', '77'])}${dice.digits(8)}`;
      case 'email':
        return `${dice.hex(2 + dice.below(3))}${dice.pick(['lee', 'shop', 'wang', 'mail', 'kim'])}${dice.digits(2)}@${dice.pick(['qq.com', '163.com', 'gmail.com', 'outlook.com'])}`;
      case 'tax':
        return `91${dice.digits(12)}${dice.pick([...'ABCDXYMG'])}${dice.digits(1)}`;
      case 'address':
        return isChinese
          ? `${this.#slot('city')}市${this.#slot('road')}${dice.digits(2)}号${1 + dice.below(30)}栋${100 + dice.below(2900)}`
          : `${1 + dice.below(900)} ${this.#slot('road')}, ${this.#slot('city')} ${dice.digits(5)}`;
      case 'n':
        return String(2 + dice.below(40));
      case 'age':
        return String(1 + dice.below(70));
      case 'height':
        return isChinese ? String(150 + dice.below(40)) : `${5 + dice.below(2)}'${dice.below(12)}"`;
      case 'weight':
        return String(isChinese ? 85 + dice.below(110) : 110 + dice.below(120));
      case 'price':
        return isChinese
          ? `${9 + dice.below(2000)}${dice.pick(['', '.9', '.5'])}`
          : `$${5 + dice.below(400)}.${dice.digits(2)}`;
      default:
        return dice.pick(this.#words.slots[name] ?? [`<${name}>`]);
    }
  }
}
