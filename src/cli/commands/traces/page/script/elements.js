/** The element with this id. */
const byId = (id) => document.getElementById(id);

/**
 * Makes an element. Whatever a trace says comes in as text, so that it can never become markup.
 * @param {string} tag
 * @param {Record<string, unknown>} attributes Those that are undefined, null or false are left out.
 * @param {...(Node | string | null | undefined)} children
 */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Runs `task` before the next frame, however often it is asked for until then. */
function onceAFrame(task) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      task();
    });
  };
}
