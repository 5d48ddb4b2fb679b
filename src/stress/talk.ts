/** What people in a shop's chat say: a few dozen lines of usual length are enough to load with. */
export type Language = 'en' | 'zh';
type Lines = Readonly<Record<Language, readonly string[]>>;

export const openings: Lines = {
  en: [
    'Hi, I have a question about my order.',
    'Hello! Is anybody there?',
    'Good evening, my parcel has not come yet.',
    'Hi, is the celadon teapot back in stock?',
    'Hello, I was charged twice for the same order.',
  ],
  zh: [
    '你好，在吗？',
    '您好，我想咨询一下我的订单。',
    '请问青瓷茶壶还有货吗？',
    '你好，我的快递一直没有更新。',
    '亲，昨天买的东西什么时候发货？',
  ],
};

export const customerLines: Lines = {
  en: [
    'Order number 20261121-0042, if that helps.',
    'It says delivered, but nothing is here.',
    'Do you have it in size 42, in blue?',
    'How long does delivery to Hamburg take?',
    'Can I still change the address?',
    'The lid was broken when I opened the box. Can I send it back, and who pays for the parcel?',
    'OK',
    'And what about the invoice? I need the name of my company on it.',
    'I have tried that already, it did not work.',
    'Could you check again, please?',
    'Is there a discount when I take two?',
    'When will I have my money back?',
  ],
  zh: [
    '订单号是 20261121-0042，麻烦查一下。',
    '显示已签收，但是我没有收到。',
    '蓝色 42 码还有吗？',
    '寄到成都要几天？',
    '地址写错了，还能改吗？',
    '打开的时候盖子已经碎了，可以换一个吗？运费谁出？',
    '好的',
    '发票抬头怎么改成公司名？',
    '这个办法我试过了，不行。',
    '能再帮我看一下吗？',
    '买两件有优惠吗？',
    '退款大概什么时候到账？',
  ],
};

export const thanks: Lines = {
  en: ['Thank you!', 'Perfect, thanks a lot.', 'Great, that helps.'],
  zh: ['谢谢！', '好的，谢谢您。', '太好了，明白了。'],
};

export const agentLines: Lines = {
  en: [
    'Hello! Let me have a look.',
    'Yes, it is in stock; it leaves our warehouse today.',
    'I am sorry about that. I have asked the carrier, and will tell you as soon as they answer.',
    'Could you send me a photo of it, please?',
    'I have changed the address for you.',
    'The refund takes three to five working days.',
    'Is there anything else that I can do for you?',
    'One moment, please.',
    'You will get the invoice by e-mail within an hour.',
  ],
  zh: [
    '您好，我帮您看一下。',
    '有货的，今天就可以发出。',
    '非常抱歉，我已经联系快递，一有消息马上告诉您。',
    '方便发一张照片吗？',
    '地址已经帮您改好了。',
    '退款一般三到五个工作日到账。',
    '请问还有什么可以帮您？',
    '请稍等。',
    '发票一小时内会发到您的邮箱。',
  ],
};
