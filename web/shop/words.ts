import { translator, type Words } from '../shared/i18n.ts';

const words = {
  shop: ['Qinghe Wares', '青禾器物'],
  navNew: ['New', '新品'],
  navAbout: ['About this demo', '关于本演示'],
  navDesk: ['Agent desk', '客服工作台'],
  season: ['Autumn firing', '秋窑新作'],
  headline: ['Quiet things for the table', '案上清物，日日相伴'],
  lead: [
    'Celadon, bamboo and tea from small workshops. Free delivery over ¥199, thirty days to change your mind.',
    '青瓷、竹器与茶，皆出自小作坊之手。满 199 元包邮，三十天无忧退换。',
  ],
  ask: ['Ask about an order', '咨询订单'],
  arrivals: ['New arrivals', '新品上架'],
  add: ['Add', '加入'],
  added: ['Added', '已加入'],
  cup: ['Celadon cup', '青瓷品茗杯'],
  cupMore: ['Longquan glaze, 90 ml', '龙泉釉 · 90 毫升'],
  pot: ['Round teapot', '圆融茶壶'],
  potMore: ['Purple clay, 220 ml', '紫砂 · 220 毫升'],
  tin: ['Spring tea, 100 g', '明前春茶 100 克'],
  tinMore: ['Picked before Qingming', '清明前采摘'],
  plate: ['Moon plate', '月白盘'],
  plateMore: ['Set of two, 18 cm', '两只装 · 18 厘米'],
  tray: ['Bamboo tray', '湘竹茶盘'],
  trayMore: ['With a drain, 36 cm', '带排水 · 36 厘米'],
  vase: ['Plum vase', '梅瓶'],
  vaseMore: ['Ash glaze, 24 cm', '灰釉 · 高 24 厘米'],
  demoTitle: ['This shop is a demonstration', '这是一间演示商店'],
  demoText: [
    'Nothing here is for sale. The button in the corner is the kefu chat widget, added by one script tag. Open the desk in another window, sign in as an agent, and answer yourself.',
    '本店商品仅供展示。右下角的按钮就是 kefu 聊天组件，只需一行 script 即可接入。请在另一个窗口打开客服工作台，以客服身份登录，试着与自己对话。',
  ],
  demoDesk: ['Desk', '工作台'],
  demoDeskLink: ['Open the agent desk', '打开客服工作台'],
  demoAgents: ['Agents', '客服账号'],
  demoAdmin: ['Administrator', '管理员'],
  demoPassword: ['Password', '密码'],
  footer: ['Qinghe Wares · a kefu demo', '青禾器物 · kefu 演示'],
} satisfies Words;

export type Word = keyof typeof words;
export const t = translator(words);

export function isWord(text: string): text is Word {
  return text in words;
}
