import { connect } from '@nats-io/transport-node';
import { ServiceBroker, Serializers, Transporters } from 'moleculer';
import {
  askFor,
  askMs,
  compare,
  question,
  type Asked,
  type Load,
  type Question,
} from '../../cluster/asking.ts';

/**
 * One of two processes with a Moleculer node for each serializer: asks the other's action, or is asked.
 *
 * Tuning: as Moleculer comes, which leaves metrics, tracing, caching, validation, retries, the circuit breaker and the
 * bulkhead off; its log and its internal services are off too. Its own balancer chooses the node, so requests go straight
 * to that node's subject (with `disableBalancer` they would go through a queue group of NATS). JSON is its default, NotePack its
 * MessagePack. Its NATS client is the one that kefu has, which is the newer version of the one that Moleculer asks for.
 */
export const serializers = ['JSON', 'NotePack'] as const;
export type SerializerName = (typeof serializers)[number];
export type MoleculerOrder =
  | { readonly do: 'join'; readonly servers: readonly string[]; readonly role: 'asker' | 'answerer' }
  | {
      readonly do: 'ask';
      readonly serializer: SerializerName;
      readonly load: Load;
      readonly ms: number;
    };

class NatsTransporter extends Transporters.NATS {
  readonly #servers: readonly string[];

  constructor(servers: readonly string[]) {
    super();
    this.#servers = servers;
  }

  /** The rest of the transporter is Moleculer's own. */
  override async connect(): Promise<void> {
    this.client = await connect({ servers: [...this.#servers], maxReconnectAttempts: -1 });
    await this.onConnected();
  }
}

const brokers = new Map<SerializerName, ServiceBroker>();

/** Says which version it is. */
async function join(servers: readonly string[], role: 'asker' | 'answerer'): Promise<string> {
  for (const serializer of serializers) {
    const broker = new ServiceBroker({
      namespace: `bench-${serializer}`,
      nodeID: role,
      logger: false,
      transporter: new NatsTransporter(servers),
      serializer: new Serializers[serializer === 'JSON' ? 'JSON' : 'Notepack'](),
      requestTimeout: askMs,
      internalServices: false,
    });
    if (role === 'answerer')
      broker.createService({
        name: 'bench',
        actions: { echo: (context: { params: Question }): Question => context.params },
      });
    await broker.start();
    brokers.set(serializer, broker);
  }
  if (role === 'asker') for (const broker of brokers.values()) await broker.waitForServices('bench');
  return ServiceBroker.MOLECULER_VERSION;
}

function ask(serializer: SerializerName, load: Load, ms: number): Promise<Asked> {
  const broker = brokers.get(serializer)!;
  return askFor(
    async (number) => compare(await broker.call<Question, Question>('bench.echo', question(number)), number),
    load,
    ms,
  );
}

process.on('message', (order: MoleculerOrder) => {
  const done: Promise<Asked | string> =
    order.do === 'join' ? join(order.servers, order.role) : ask(order.serializer, order.load, order.ms);
  done.then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.stack }),
  );
});
process.on('disconnect', () => process.exit(0));
