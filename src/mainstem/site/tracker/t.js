// Mainstem's browser tracker. `t.min.js` is made from this file: python -m mainstem.site.tracker.build
// Promises: nothing it does throws into the page, nothing is kept on the device unless data-cookie is set,
// memory and retries are bounded, and every event carries an id, so that a repeated send counts once.
(() => {
  const win = window, doc = document, nav = navigator
  const script = doc.currentScript || doc.querySelector('script[data-key]')
  const option = script?.dataset
  const early = win.mainstem?.q || []
  if (!option?.key || win.mainstem?.on) return
  // what a page calls keeps working, and does nothing, where nothing may be sent
  let track = () => {}
  const api = win.mainstem = (type, details) => track(type, details)
  api.on = 1

  const asked = nav.doNotTrack == 1 || win.doNotTrack == 1 || nav.globalPrivacyControl
  const respect = option.dnt ? option.dnt != 'false' : RESPECT_DNT
  if (asked && respect || location.protocol == 'file:' || nav.webdriver && 'ignoreAutomation' in option) return

  const MOST_WAITING = 100, MOST_AT_ONCE = 20, MOST_FAILURES = 8
  const safe = work => (...given) => { try { return work(...given) } catch (error) { } }
  const on = (target, name, work) => target.addEventListener(name, safe(work), { capture: true, passive: true })

  const uuid = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16))
    bytes[6] = bytes[6] & 15 | 64
    bytes[8] = bytes[8] & 63 | 128
    return [...bytes].map((byte, at) => (at > 3 && at < 11 && at % 2 == 0 ? '-' : '') + (byte + 256).toString(16).slice(1)).join('')
  }

  const cookie = () => doc.cookie.match(/(?:^|; )ms_vid=([\w-]+)/)?.[1]
  // read back: where cookies are refused, a new id per event would be a new visitor per event
  const visitor = safe(() => {
    if (!('cookie' in option)) return
    if (!cookie())
      doc.cookie = 'ms_vid=' + uuid() + ';path=/;max-age=31536000;samesite=lax' +
        (option.cookie ? ';domain=' + option.cookie : '') + (location.protocol == 'https:' ? ';secure' : '')
    return cookie()
  })

  // --- sending: fetch tells whether it worked, so it goes first; a beacon outlives the page
  const endpoint = new URL('api/v1/track/bulk', script.src).href
  let waiting = [], timer, busy, failures = 0

  const body = events => {
    const sent_at = new Date().toISOString()
    return JSON.stringify({ write_key: option.key, events: events.map(event => ({ ...event, sent_at })) })
  }
  const post = text => fetch(endpoint, { method: 'POST', body: text, keepalive: true, credentials: 'omit' })
  const later = wait => { timer ||= setTimeout(flush, wait) }

  const flush = safe(() => {
    timer = clearTimeout(timer)
    if (busy || !waiting.length) return
    const events = busy = waiting.splice(0, MOST_AT_ONCE)
    const settle = safe(failed => {
      busy = 0
      failures = failed ? failures + 1 : 0
      if (failed) waiting = events.concat(waiting).slice(-MOST_WAITING)
      if (waiting.length && failures < MOST_FAILURES) later(failed ? 500 * 2 ** failures * (1 + Math.random()) : 0)
    })
    post(body(events)).then(answer => settle(answer.status > 499 || answer.status == 429), () => settle(1))
  })

  const flushLast = () => {
    while (waiting.length) {
      const text = body(waiting.splice(0, MOST_AT_ONCE))
      if (!nav.sendBeacon?.(endpoint, text)) post(text).catch(() => {})
    }
  }

  // --- what happens on the page
  const here = () => (('hash' in option) ? location.href : location.href.split('#')[0]).slice(0, 4096)
  let page, previous = doc.referrer, since, depth

  const add = (event_type, event_data = {}, page_url = here()) => {
    waiting.push({
      event_id: uuid(),
      event_type,
      // a copy of now: the page may change its object, and one that is not JSON fails here, alone
      event_data: JSON.parse(JSON.stringify(event_data)),
      timestamp: new Date().toISOString(),
      page_url,
      title: doc.title.slice(0, 512),
      referrer: previous.slice(0, 4096),
      language: nav.language,
      screen_resolution: screen.width + 'x' + screen.height,
      viewport: innerWidth + 'x' + innerHeight,
      visitor_id: visitor()
    })
    waiting = waiting.slice(-MOST_WAITING)
    later(0)
  }

  const look = () => {
    const root = doc.documentElement
    depth = Math.max(depth, Math.min(100, Math.round(100 * (scrollY + innerHeight) / (root.scrollHeight || 1))))
  }
  const leave = () => {
    if (since && 'engagement' in option) {
      look()
      add('page_leave', { time_on_page: Math.round((Date.now() - since) / 100) / 10, scroll_depth: depth }, page)
    }
    since = 0
  }
  const arrive = again => {
    if (!again && here() == page) return
    if (page) {
      leave()
      previous = page
    }
    page = here()
    depth = 0
    since = doc.hidden ? 0 : Date.now()
    add('page_view')
  }
  // after the router's own work: it sets the title then, and a redirect on the way is no view
  const moved = () => setTimeout(safe(() => page && arrive()))

  for (const name of ['pushState', 'replaceState']) {
    const original = history[name]
    history[name] = function (...given) {
      const result = original.apply(this, given)
      moved()
      return result
    }
  }

  const clicked = ({ target, button }) => {
    const link = button < 2 && target.closest?.('a[href]')
    if (!link || !/^https?:/.test(link.href)) return
    if ('downloads' in option && (link.hasAttribute('download') || /\.(pdf|docx?|xlsx?|pptx?|csv|zip|gz|7z|rar|dmg|exe|ics|mp3|mp4)$/i.test(link.pathname)))
      add('file_download', { href: link.href })
    else if ('outbound' in option && link.host != location.host) add('outbound_click', { href: link.href })
  }

  const start = () => {
    track = safe((type, details) => add(String(type), details))
    arrive()
    on(win, 'popstate', moved)
    on(win, 'hashchange', moved)
    // back from the browser's page cache: the reader sees the page again
    on(win, 'pageshow', event => event.persisted && arrive(1))
    on(win, 'online', flush)
    on(doc, 'scroll', look)
    on(doc, 'click', clicked)
    on(doc, 'auxclick', clicked)
    on(doc, 'visibilitychange', () => {
      if (!doc.hidden) return since = Date.now()
      leave()
      flushLast()
    })
    on(win, 'pagehide', () => {
      leave()
      flushLast()
    })
    early.forEach(given => track(...given))
  }
  if (doc.prerendering) on(doc, 'prerenderingchange', start)
  else safe(start)()
})()
