// The texts of the page's language, looked up by key; `load` fetches them once, before a page begins.

let texts = {};

export async function load() {
  const language = document.documentElement.lang;
  const answer = await fetch(new URL(`../../catalogue/${language}.json`, import.meta.url));
  if (!answer.ok) throw new Error(`no texts in ${language}: ${answer.status}`);
  texts = await answer.json();
}

// The text of a key with its places, such as {slide}, filled.
export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

// The text of a key where there is one, else `other`: for names that the instrument may have more of than this page.
export function known(key, other) {
  return Object.hasOwn(texts, key) ? texts[key] : other;
}
