// Panels, guesses and the clinic's lists on pages without a kernel: what tools/frames.py puts into a page moves here.
//
// A classic script, not a module: browsers load no module into a page that was opened from a file. It makes no global
// name, and needs nothing that is loaded from elsewhere.
"use strict";
(() => {
    const AT_ONCE = 6;  // pictures that are fetched at the same time
    const LOST = "This picture could not be loaded. Reload the page to try again.";

    const dataOf = element =>
        JSON.parse(element.querySelector("script[type='application/json']").textContent);

    // ---------------------------------------------------------------- Numbers, written as in JupyterLab

    // A number beside a slider: "d", ".2f" or ".3g", as ipywidgets writes it.
    function readout(value, format) {
        const [, digits, kind] = /^(?:\.(\d+))?([dfg])$/.exec(format);
        const text = kind === "d" ? String(Math.round(value))
            : kind === "f" ? value.toFixed(digits) : value.toPrecision(digits);
        return text.replace("-", "−");
    }

    // Python's format(value, ",g"): six digits, no zeros behind them.
    function general(value) {
        if (value === 0) return "0";
        const [digits, exponent] = value.toExponential(5).split("e").map(Number);
        if (exponent >= -4 && exponent < 6) {
            const places = {maximumFractionDigits: 10};
            return Number(value.toPrecision(6)).toLocaleString("en-US", places);
        }
        return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
    }

    // Three digits of it. Python rounds what lies halfway to the even digit, JavaScript always up.
    function threeDigits(value) {
        const [digits, exponent] = Math.abs(value).toExponential(50).split("e");
        const down = /^\d\.\d[02468]50*$/.test(digits);
        const rounded = down ? Number(`${digits.slice(0, 4)}e${exponent}`) * Math.sign(value)
            : Number(value.toPrecision(3));
        return general(rounded);
    }

    // ---------------------------------------------------------------- Panels

    function startPanel(figure) {
        const data = dataOf(figure);
        const live = figure.querySelector(".panel-live");
        const frame = live.querySelector(".panel-picture");
        const words = live.querySelector("[role=status]");
        const controls = [...live.querySelectorAll(".panel-control")].map((row, number) => {
            const told = data.controls[number];
            const field = row.querySelector("input, select");
            return {
                ...told,
                field,
                beside: row.querySelector(".panel-value"),
                count: (told.labels ?? told.values).length,
            };
        });
        const positionOf = ({field}) =>
            field.type === "range" ? Number(field.value)
                : field.type === "checkbox" ? Number(field.checked) : field.selectedIndex;
        const positions = () => controls.map(positionOf);
        const settingAt = places =>
            places.reduce((setting, place, n) => setting * controls[n].count + place, 0);

        const size = ["width", "height"].map(name => frame.firstChild.getAttribute(name));
        const pictures = new Map();  // by their numbers; kept, so that the browser keeps them, too
        function picture(number) {
            if (!pictures.has(number)) {
                const image = new Image(...size);
                image.decoding = "sync";  // never a frame without a picture
                image.src = `${figure.dataset.panel}-${number}.webp`;
                pictures.set(number, image);
            }
            return pictures.get(number);
        }

        function showValues() {
            controls.forEach(control => {
                if (!control.beside) return;
                const place = positionOf(control);
                const text = control.labels?.[place] ?? readout(control.values[place], control.format);
                control.beside.textContent = text;
                control.field.setAttribute("aria-valuetext", text);
            });
        }

        function show() {
            showValues();
            const places = positions();
            const setting = settingAt(places);
            const image = picture(data.frames[setting]);
            const put = () => {
                if (setting !== settingAt(positions())) return;  // the slider is elsewhere by now
                image.alt = data.words[setting];
                frame.replaceChildren(image);
                words.textContent = data.words[setting];
                neighbours(places).forEach(next => decodeAhead(data.frames[settingAt(next)]));
            };
            const fail = () => { words.textContent = LOST; };
            if (image.complete && image.naturalWidth) put();
            else image.decode().then(put, fail);
        }

        // A picture that is missing says so when somebody comes to it, by `fail`.
        const decodeAhead = number => picture(number).decode().catch(() => {});

        const neighbours = places => places.flatMap((place, n) =>
            [place - 1, place + 1]
                .filter(next => next >= 0 && next < controls[n].count)
                .map(next => places.with(n, next)));

        // Fetch all pictures, those nearest to the present setting first.
        function fetchAll() {
            let all = [[]];
            for (const {count} of controls)
                all = all.flatMap(places => Array.from({length: count}, (_, place) => [...places, place]));
            const waiting = new Map(all.map(places => [data.frames[settingAt(places)], places]));
            const distance = places =>
                positions().reduce((sum, place, n) => sum + Math.abs(place - places[n]), 0);
            async function fetchSome() {
                while (waiting.size) {
                    const far = [...waiting].map(([number, places]) => [distance(places), number]);
                    const [, number] = far.reduce((one, other) => other[0] < one[0] ? other : one);
                    waiting.delete(number);
                    await decodeAhead(number);
                }
            }
            return Promise.all(Array.from({length: AT_ONCE}, fetchSome));
        }

        figure.querySelector(".panel-still").remove();
        live.hidden = false;
        showValues();
        live.addEventListener("input", show);
        new IntersectionObserver((seen, observer) => {
            if (!seen.some(entry => entry.isIntersecting)) return;
            observer.disconnect();
            show();
            fetchAll().then(() => { figure.dataset.loaded = "true"; });
        }, {rootMargin: "400px"}).observe(figure);
    }

    // ---------------------------------------------------------------- Guesses

    // Hides what a guess should not see: frames.hide has marked it. Returns what stands in the place of the result, and
    // a function that shows all of it again.
    function hideResult(identity) {
        const marked = kind => [...document.querySelectorAll(`.guess-${kind}[data-guess="${identity}"]`)];
        const outputOf = mark => mark.closest(".cell_output, .jp-Cell-outputWrapper, .output_wrapper");
        const [waiting] = marked("result"), output = outputOf(waiting);
        const cells = marked("after").map(mark => mark.closest(".cell, .jp-Cell"));
        const hidden = [output, ...marked("between").map(outputOf), ...marked("told"), ...cells];
        output.before(waiting);
        for (const part of hidden) part.classList.add("guess-hidden");
        waiting.hidden = false;
        return [waiting, () => { for (const part of hidden) part.classList.remove("guess-hidden"); }];
    }

    function focus(place) {
        place.tabIndex = -1;
        place.focus({preventScroll: true});
    }

    // A question that has no slider: only its button shows the result.
    function startSpoken(found) {
        if (document.getElementById(found.dataset.guess)) return;
        const [waiting, show] = hideResult(found.dataset.guess);
        waiting.querySelector("button").addEventListener("click", () => {
            show();
            waiting.textContent = "The result:";
            focus(waiting);
        });
    }

    function startGuess(box) {
        const data = dataOf(box);
        const slider = box.querySelector("input"), beside = box.querySelector(".panel-value");
        const words = box.querySelector("[role=status]");
        const [commit, skip] = box.querySelectorAll("button");
        const [waiting, show] = hideResult(box.id);

        function value() {
            const along = Number((data.low + slider.valueAsNumber * data.step).toFixed(7));
            return data.log ? 10 ** along : along;
        }

        function showValue() {
            const text = readout(value(), data.format);
            beside.textContent = text;
            slider.setAttribute("aria-valuetext", text);
        }

        // As `against` says it in JupyterLab, from the measurement as it is printed.
        function said() {
            const guessed = value();
            if (data.measured === null)
                return `You guessed ${threeDigits(guessed)}. Compare it with the result.`;
            const measured = Number(data.measured.replaceAll(",", ""));
            const factor = Math.max(guessed / measured, measured / guessed);
            const sized = data.hasFactor && guessed > 0 && measured > 0;
            const far = sized && !(guessed / measured > 0.5 && guessed / measured < 2);
            return `${data.question}: measured ${data.measured}, you guessed ${threeDigits(guessed)}`
                + `${far ? `, off by a factor of ${threeDigits(factor)}` : ""}.`;
        }

        // Shows the result. What was pressed goes, so its place takes the keyboard's focus.
        function reveal(text, place) {
            show();
            slider.disabled = true;
            commit.parentElement.remove();
            words.textContent = waiting.textContent = text;
            focus(place);
        }

        box.querySelector(".guess-live").hidden = false;
        showValue();
        slider.addEventListener("input", () => {
            showValue();
            commit.disabled = false;
            words.textContent = `Your guess is ${general(value())}. Press Reveal to see the result.`;
        });
        const without = "No guess: the result stands alone.";
        commit.addEventListener("click", () => reveal(said(), words));
        skip.addEventListener("click", () => reveal(without, words));
        waiting.querySelector("button").addEventListener("click", () => reveal(without, waiting));
    }

    // ---------------------------------------------------------------- The clinic

    function startConsultation(box) {
        const answers = dataOf(box);
        const list = box.querySelector("select"), answer = box.querySelector("[role=status]");
        box.querySelector(".consultation-live").hidden = false;
        list.addEventListener("change", () => {
            if (list.value) answer.innerHTML = answers[list.value];
        });
    }

    // ---------------------------------------------------------------- Start

    // Each in a task of its own: where one fails the console says so, and the others work.
    function start() {
        const starts = {
            ".panel": startPanel,
            ".guess": startGuess,
            ".guess-result": startSpoken,
            ".consultation": startConsultation,
        };
        for (const [selector, begin] of Object.entries(starts))
            for (const element of document.querySelectorAll(selector))
                queueMicrotask(() => begin(element));
    }
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
    else start();
})();
