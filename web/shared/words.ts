import { translator, type Words } from './i18n.ts';

const words = {
  send: ['Send', '发送'],
  write: ['Write a message…', '输入消息…'],
  attach: ['Attach a file or picture', '发送文件或图片'],
  dropHere: ['Drop to send', '松开即可发送'],
  customer: ['Visitor', '访客'],
  today: ['Today', '今天'],
  yesterday: ['Yesterday', '昨天'],
  justNow: ['now', '刚刚'],
  minutes: ['{n} min', '{n} 分钟'],
  hours: ['{n} h', '{n} 小时'],
  days: ['{n} d', '{n} 天'],
  sending: ['Sending…', '发送中…'],
  uploading: ['Uploading…', '上传中…'],
  sent: ['Sent', '已发送'],
  read: ['Read', '已读'],
  notSent: ['Not sent', '未发送'],
  retry: ['Try again', '重试'],
  discard: ['Discard', '删除'],
  typing: ['{name} is typing', '{name} 正在输入'],
  older: ['Loading earlier messages…', '正在加载更早的消息…'],
  latest: ['Jump to the latest', '回到最新消息'],
  newMessages: ['{n} new', '{n} 条新消息'],
  messages: ['Messages', '消息记录'],
  image: ['Picture', '图片'],
  imageLost: ['The picture could not be loaded', '图片加载失败'],
  download: ['Download', '下载'],
  close: ['Close', '关闭'],
  cancel: ['Cancel', '取消'],
  connecting: ['Connecting…', '正在连接…'],
  offline: [
    'No connection. What you write is kept and sent later.',
    '网络已断开，您的消息会保存并在恢复后发送。',
  ],
  reconnecting: ['Reconnecting…', '正在重新连接…'],
  tryNow: ['Try now', '立即重试'],
  superseded: ['This conversation is open in another window.', '此会话已在其他窗口打开。'],
  useHere: ['Use it here', '在此使用'],
  outboxFull: ['Too many unsent messages. Wait for the connection.', '未发送的消息过多，请等待网络恢复。'],
  tooLong: ['{n} characters too long', '超出 {n} 个字符'],
  err_too_large: ['Too large', '文件或消息过大'],
  err_bad_request: ['The server did not accept it', '服务器未接受此消息'],
  err_bad_frame: ['The server did not accept it', '服务器未接受此消息'],
  err_forbidden: ['Not allowed', '没有权限'],
  err_not_participant: ['You are no longer part of this conversation', '您已不在此会话中'],
  err_invalid_transition: ['The conversation has ended', '会话已结束'],
  err_not_found: ['The conversation no longer exists', '会话不存在'],
  err_conflict: ['Not possible right now', '当前无法执行'],
  err_rate_limited: ['Too fast, wait a moment', '操作过快，请稍候'],
  err_busy: ['Busy, please try again in a moment', '系统繁忙，请稍后重试'],
  err_unavailable: ['The service is not available right now', '服务暂时不可用'],
  err_disconnected: ['No connection', '网络已断开'],
  err_timeout: ['No answer from the server', '服务器没有响应'],
  err_other: ['Something went wrong', '出了点问题'],
} satisfies Words;

/** The words that both pages share. */
export const t = translator(words);

export function errorText(code: string): string {
  const key = `err_${code}`;
  return t(key in words ? (key as keyof typeof words) : 'err_other');
}
