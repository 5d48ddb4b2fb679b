import './shop.css';
import { lang } from '../shared/i18n.ts';
import { art } from './art.ts';
import { isWord, t } from './words.ts';

const products = [
  { name: 'cup', more: 'cupMore', price: 68, tint: '#e6eee6' },
  { name: 'pot', more: 'potMore', price: 329, tint: '#f1e6de' },
  { name: 'tin', more: 'tinMore', price: 158, tint: '#e8ede4' },
  { name: 'plate', more: 'plateMore', price: 112, tint: '#e6ebee' },
  { name: 'tray', more: 'trayMore', price: 246, tint: '#f4ecdc' },
  { name: 'vase', more: 'vaseMore', price: 480, tint: '#ece8e6' },
] as const;

function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text = '',
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function card(product: (typeof products)[number]): HTMLLIElement {
  const item = element('li', 'product');
  const picture = element('div', 'picture');
  picture.style.background = product.tint;
  picture.innerHTML = art[product.name];
  const about = element('div', 'about-product');
  const add = element('button', 'add', t('add'));
  add.type = 'button';
  add.setAttribute('aria-label', `${t('add')}: ${t(product.name)}`);
  add.addEventListener('click', () => (add.textContent = t('added')));
  const foot = element('div', 'foot');
  foot.append(element('span', 'price', `¥${product.price}`), add);
  about.append(element('h3', '', t(product.name)), element('p', '', t(product.more)), foot);
  item.append(picture, about);
  return item;
}

document.documentElement.lang = lang;
document.title = t('shop');
for (const node of document.querySelectorAll<HTMLElement>('[data-t]')) {
  const key = node.dataset['t'] ?? '';
  if (isWord(key)) node.textContent = t(key);
}
document.getElementById('products')?.append(...products.map(card));
const hero = document.getElementById('hero-art');
if (hero) hero.innerHTML = art.hero;
document.getElementById('ask')?.addEventListener('click', () => {
  (window as Window & { kefu?: { open(): void } }).kefu?.open();
});
