/** Every text that a person reads, in the terminal and in the report, in both languages. */
export type Language = 'en' | 'zh-CN';

const en = {
  title: 'kefu load test',
  starting: 'starting a node of its own',
  readyNode: 'node ready at',
  removed: 'the node and its data are removed',
  stages: {
    crew: 'making agents',
    warmup: 'warming up',
    load: 'loading',
    settle: 'waiting for what is on its way',
    compare: 'comparing with the history, leaving',
  },
  profiles: {
    steady: 'steady',
    surge: 'surge: ten times the arrivals',
    storm: 'storm: connections that say nothing',
    reconnect: 'reconnect: everybody is cut at once',
  },
  phases: { whole: 'whole run', before: 'before', during: 'during', after: 'after' },
  acked: 'messages acked/s',
  said: 'messages due/s',
  delivered: 'delivered/s',
  ack: 'due to ack',
  delivery: 'due to the other side',
  connect: 'arrival to ready',
  resume: 'lost to served again',
  recovery: 'everybody cut to served again',
  wait: 'opened to an agent',
  http: 'HTTP request',
  lag: 'the generator’s own delay',
  connections: 'connections',
  customers: 'customers',
  refused: 'refused',
  errors: 'errors',
  breaches: 'breaches of the contract',
  memory: 'server memory',
  contract: 'Contract',
  contractKept: 'kept',
  contractBroken: 'BROKEN',
  contractText: (frames: string, audited: string, compared: string) =>
    `${frames} frames were checked for order, gaps and repeats; the histories of ${audited} sessions were read over HTTP and compared with ${compared} messages said.`,
  breachKinds: {
    gap: 'gap: a seq was left out',
    order: 'order: a seq came after a later one',
    duplicate: 'duplicate: a seq or a message twice',
    lost: 'lost: acked, and not in the history',
    moved: 'moved: one message with two seqs',
    altered: 'altered: another text than was said',
    stray: 'stray: an ack of what was not said',
    reset: 'reset: the server has forgotten events',
  },
  thresholds: 'Thresholds',
  noThresholds: 'none were given',
  held: 'held',
  missed: 'missed',
  passed: 'PASSED',
  failed: 'MISSED',
  cutShort: 'It was ended before its time.',
  behind: (ms: string) =>
    `The generator itself was behind: 1 % of what it did came ${ms} late or later. The latencies here hold that too; use more --processes, or another machine.`,
  skipped: (count: string) => `${count} customers were left out, for too many were there already.`,
  verdicts: {
    unnoticed: (it: Values) =>
      `Established conversations: ack p50 ${it['p50Before']} before, ${it['p50During']} during, ${it['p50After']} after the storm; p99 ${it['p99Before']}, ${it['p99During']}, ${it['p99After']} (${it['ratio']} times); ${it['lost']} connections lost.`,
    limits: (it: Values) =>
      `The storm tried ${it['tried']} connections a second: ${it['admitted']} were let in, ${it['refused']} were refused with 429 or 503, ${it['failed']} failed.`,
    recovered: (it: Values) =>
      `${it['people']} people were cut at once. Half were served again after ${it['p50']}, 99 % after ${it['p99']}, all after ${it['all']}. Server memory ${it['memoryBefore']} before, ${it['memoryAfter']} at the end.`,
    queued: (it: Values) =>
      `Arrivals went from ${it['arrivedBefore']} to ${it['arrivedDuring']} a second; in the surge half waited ${it['waitP50']} for an agent, 1 % more than ${it['waitP99']}.`,
  },
  unnoticed: 'They did not notice it.',
  noticed: 'They NOTICED it.',
  report: 'report',
  charts: {
    throughput: 'Messages a second',
    latency: 'From when a message was due to its ack',
    distribution: 'How many took how long',
    connections: 'Connections and customers',
    trouble: 'Refused and errors a second',
    memory: 'Server memory',
  },
  axisSeconds: 'seconds',
  axisShare: '% of messages',
  series: {
    said: 'due',
    acked: 'acked',
    delivered: 'delivered',
    refused: 'refused',
    errors: 'errors',
    stormed: 'storm, let in',
    stormRefused: 'storm, refused',
    ack: 'ack',
    delivery: 'delivered',
  },
  latencies: 'Latencies',
  latencyNote:
    'Counted from when each was due by the plan, not from when it was sent: a slow server can’t slow the load down, so it can’t hide.',
  what: 'what',
  count: 'count',
  counts: 'Counts',
  countKinds: {
    arrived: 'customers arrived',
    said: 'messages said',
    acked: 'messages acked',
    delivered: 'messages delivered',
    again: 'said again, with the same id',
    connected: 'first connections',
    resumed: 'resumed',
    dropped: 'dropped by plan',
    lost: 'connections lost',
    refused: 'refused (429, 503, busy)',
    errors: 'errors',
    unanswered: 'unanswered at the end',
    gaveUp: 'gave up waiting',
    skipped: 'left out',
    closed: 'sessions closed',
    rated: 'ratings',
  },
  errorKinds: 'Errors by kind',
  examples: 'Examples',
  run: 'Run',
  machine: 'Machine of the generators',
  generator: 'Generators',
  generatorText: (processes: string, cores: string, lag: string) =>
    `${processes} processes, the busiest took ${cores} of a core; what they did came ${lag} after its time at most, 99 times of 100.`,
};
export type Words = typeof en;
type Values = Readonly<Record<string, string>>;

const zh: Words = {
  title: 'kefu 压力测试',
  starting: '正在启动一个专用节点',
  readyNode: '节点就绪：',
  removed: '节点及其数据已删除',
  stages: {
    crew: '创建客服',
    warmup: '预热',
    load: '施压',
    settle: '等待在途消息',
    compare: '对照历史，离场',
  },
  profiles: {
    steady: '平稳',
    surge: '激增：到访量十倍',
    storm: '风暴：大量不说话的连接',
    reconnect: '重连：所有人同时断线',
  },
  phases: { whole: '全程', before: '之前', during: '期间', after: '之后' },
  acked: '每秒确认消息',
  said: '每秒应发消息',
  delivered: '每秒送达',
  ack: '应发到确认',
  delivery: '应发到对方收到',
  connect: '到访到就绪',
  resume: '断线到恢复',
  recovery: '全员断线到恢复',
  wait: '开始会话到分配客服',
  http: 'HTTP 请求',
  lag: '发压端自身延迟',
  connections: '连接',
  customers: '顾客',
  refused: '被拒',
  errors: '错误',
  breaches: '违约',
  memory: '服务器内存',
  contract: '契约',
  contractKept: '遵守',
  contractBroken: '违反',
  contractText: (frames, audited, compared) =>
    `共检查 ${frames} 个帧的顺序、缺口和重复；通过 HTTP 读取了 ${audited} 个会话的历史，与说过的 ${compared} 条消息逐一对照。`,
  breachKinds: {
    gap: '缺口：跳过了序号',
    order: '乱序：序号晚于更大的序号到达',
    duplicate: '重复：同一序号或消息出现两次',
    lost: '丢失：已确认，但历史中没有',
    moved: '移位：一条消息有两个序号',
    altered: '篡改：文字与所说不同',
    stray: '无主：确认了没有说过的消息',
    reset: '重置：服务器忘记了事件',
  },
  thresholds: '阈值',
  noThresholds: '未设置',
  held: '达标',
  missed: '未达标',
  passed: '通过',
  failed: '未达标',
  cutShort: '测试提前结束。',
  behind: (ms) =>
    `发压端自身落后：有 1 % 的动作晚了 ${ms} 或更久，以下延迟包含这部分；请增加 --processes，或换一台机器。`,
  skipped: (count) => `在场顾客过多，略过了 ${count} 位。`,
  verdicts: {
    unnoticed: (it) =>
      `已建立的会话：确认 p50 风暴前 ${it['p50Before']}、期间 ${it['p50During']}、之后 ${it['p50After']}；p99 ${it['p99Before']}、${it['p99During']}、${it['p99After']}（${it['ratio']} 倍）；意外断线 ${it['lost']}。`,
    limits: (it) =>
      `风暴每秒尝试 ${it['tried']} 个连接：放行 ${it['admitted']}，以 429 或 503 拒绝 ${it['refused']}，失败 ${it['failed']}。`,
    recovered: (it) =>
      `${it['people']} 人同时断线。一半在 ${it['p50']} 后恢复，99 % 在 ${it['p99']} 后，全部在 ${it['all']} 后。服务器内存之前 ${it['memoryBefore']}，结束时 ${it['memoryAfter']}。`,
    queued: (it) =>
      `到访从每秒 ${it['arrivedBefore']} 升到 ${it['arrivedDuring']}；激增期间一半顾客等客服 ${it['waitP50']}，1 % 超过 ${it['waitP99']}。`,
  },
  unnoticed: '没有察觉。',
  noticed: '受到了影响。',
  report: '报告',
  charts: {
    throughput: '每秒消息数',
    latency: '消息从应发到确认',
    distribution: '耗时分布',
    connections: '连接与顾客',
    trouble: '每秒被拒与错误',
    memory: '服务器内存',
  },
  axisSeconds: '秒',
  axisShare: '消息占比 %',
  series: {
    said: '应发',
    acked: '确认',
    delivered: '送达',
    refused: '被拒',
    errors: '错误',
    stormed: '风暴放行',
    stormRefused: '风暴被拒',
    ack: '确认',
    delivery: '送达',
  },
  latencies: '延迟',
  latencyNote: '从计划的应发时刻算起，而不是从实际发送算起：服务器再慢也拖不慢负载，也就藏不住。',
  what: '项目',
  count: '次数',
  counts: '计数',
  countKinds: {
    arrived: '到访顾客',
    said: '说出的消息',
    acked: '确认的消息',
    delivered: '送达的消息',
    again: '以同一编号重发',
    connected: '首次连接',
    resumed: '恢复连接',
    dropped: '计划内断线',
    lost: '意外断线',
    refused: '被拒（429、503、busy）',
    errors: '错误',
    unanswered: '结束时未答复',
    gaveUp: '放弃等待',
    skipped: '略过',
    closed: '关闭的会话',
    rated: '评分',
  },
  errorKinds: '错误种类',
  examples: '示例',
  run: '测试',
  machine: '发压机器',
  generator: '发压端',
  generatorText: (processes, cores, lag) =>
    `${processes} 个进程，最忙的占用 ${cores} 个核；99 % 的动作比应发时刻晚不超过 ${lag}。`,
};

export function wordsOf(language: Language): Words {
  return language === 'zh-CN' ? zh : en;
}

export function msText(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  if (ms >= 1000) return `${(ms / 1000).toFixed(ms >= 10_000 ? 1 : 2)} s`;
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

export function bytesText(bytes: number | null): string {
  return bytes === null ? '–' : `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

export function countText(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}
