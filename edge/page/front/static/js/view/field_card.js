// A field of the gallery: image, verdict, gate values, and what experts said of it, with the form for saying more.

import { path, send } from "../lib/api.js";
import { make, say } from "../lib/dom.js";
import { dayTime, number } from "../lib/format.js";
import { may, sayProblem } from "../lib/session.js";
import { t } from "../lib/texts.js";
import { gateWord, kindOf, labelWord, likely, SIGNS, wordOf } from "./answers.js";
import { bars } from "./bars.js";

const THUMB = 400;
const NONE = " "; // of the choices: no class of the model's

// slide: as GET /slides/{slide}. corrected: called after a correction was stored. enlarge: (field, image's address).
export function fieldCard(field, { slide, corrected, enlarge }) {
  const kind = kindOf(field, slide.benign);
  return make(
    "li",
    { id: `field-${field.field}`, "data-kind": kind, "data-testid": `field-${field.field}`, tabindex: "-1" },
    picture(field, enlarge),
    make("h3", {}, `${SIGNS[kind]} ${wordOf(field)}`, make("span", { class: "soft" }, t("verdict.field", { field: field.field }))),
    field.detail && document.documentElement.lang === "en" ? make("p", { class: "soft" }, field.detail) : null,
    field.seen === null ? null : make("p", {}, make("span", { class: "seen" }, t("verdict.seen", { field: field.seen }))),
    make("div", { class: "probabilities" }, bars(likely(field))),
    make("p", { class: "soft" }, [dayTime(field.utc), field.asked_by ? t("field.asked_by", { by: field.asked_by }) : ""].filter(Boolean).join(" · ")),
    gates(field),
    field.corrections.map(correction),
    may("operate") ? form(field, slide, corrected) : null,
  );
}

function picture(field, enlarge) {
  if (!field.image) return make("p", { class: "no-image" }, t("field.no_image"));
  const alt = t("field.image", { field: field.field });
  const image = make("img", { src: `${field.image.url}?width=${THUMB}`, alt, loading: "lazy", decoding: "async", width: 400, height: 300 });
  const press = { click: () => enlarge(field) };
  return make("button", { type: "button", class: "picture-button", "aria-haspopup": "dialog", on: press }, image);
}

function gates(field) {
  const rows = Object.entries(field.gates ?? {});
  if (!rows.length) return null;
  const cells = rows.map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, gateWord(name)), make("td", { class: "n" }, value === null ? "–" : number(value))),
  );
  return make("details", {}, make("summary", {}, t("field.gates")), make("table", {}, make("tbody", {}, cells)));
}

function correction(each) {
  const what = each.agrees ? t("field.agrees", { label: each.label ? labelWord(each.label) : t("field.no_class") }) : t("field.says", { label: each.label ? labelWord(each.label) : t("field.no_class") });
  return make(
    "p",
    { class: "corrected", "data-testid": `corrected-${each.field}` },
    make("strong", {}, `${each.agrees ? "✓" : "✎"} ${what}`),
    each.note ? ` – ${each.note}` : "",
    make("span", { class: "soft" }, ` · ${each.by}, ${dayTime(each.utc)}`),
  );
}

function form(field, slide, corrected) {
  const id = `label-${field.field}`;
  const answered = field.label ?? "";
  const others = [...slide.labels.filter((label) => label !== answered), ...(answered ? [NONE] : [])];
  const choice = (value, text) => make("option", { value }, text);
  const select = make("select", { id, "data-testid": id }, others.map((label) => choice(label, label === NONE ? t("field.no_class") : label)));
  const note = make("input", { id: `note-${field.field}`, "data-testid": `note-${field.field}`, maxlength: 500 });
  const says = make("p", { class: "error", role: "status" });
  const store = async (agrees, label) => {
    try {
      const route = `/slides/${path(field.slide)}/fields/${field.field}/corrections`;
      await send("POST", route, { label: label === NONE ? "" : label, agrees, note: note.value.trim() });
      await corrected(field);
    } catch (error) {
      say(says, sayProblem(error));
    }
  };
  const agree = { click: () => store(true, answered) };
  const submit = {
    submit: (event) => {
      event.preventDefault();
      store(false, select.value);
    },
  };
  return make(
    "details",
    { "data-testid": `correct-${field.field}` },
    make("summary", {}, t("field.correct")),
    make(
      "form",
      { class: "form", on: submit },
      make("div", {}, make("label", { for: note.id }, t("field.note")), note),
      make("button", { type: "button", "data-testid": `agree-${field.field}`, on: agree }, answered ? t("field.agree", { label: labelWord(answered) }) : t("field.agree_none")),
      make("div", {}, make("label", { for: id }, t("field.other")), select),
      make("button", { type: "submit", "data-testid": `send-${field.field}` }, t("field.send")),
      says,
    ),
  );
}
