// Streams words through a Verilated AXI-Stream top, cycle by cycle, stalled or not; verilator.py
// compiles it with the model and runs it. Cycle 0 is the first one after reset.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

// Verilator's runtime asks for it; nothing here has a time.
double sc_time_stamp() { return 0; }

namespace {

// In the order of the command line.
struct Task {
    const char *words_in, *words_out, *cycles;
    uint64_t frames, beats_in, beats_out, bytes_in, bytes_out;
    uint64_t stall_in, stall_out;  // idle cycles on s_axis and on m_axis, in 1/65536
    uint64_t seed;
    uint64_t patience;  // cycles without a transfer until it is given up
};

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::exit(1);
}

FILE* open(const char* path, const char* mode) {
    FILE* file = std::fopen(path, mode);
    if (!file) fail("a file of the bench cannot be opened");
    return file;
}

class Random {
    uint64_t state;

public:
    explicit Random(uint64_t seed) : state(seed * 2 + 1) {}
    // xorshift64* (Vigna, 2016)
    bool chance(uint64_t of_65536) {
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        return (state * 0x2545F4914F6CDD1DULL >> 48) < of_65536;
    }
};

class Bench {
    const Task& task;
    VerilatedContext context;
    Vtop top{&context};
    Random random;
    FILE *words_in, *words_out;
    std::vector<uint64_t> first_in, last_out;  // the cycle of each frame's first beat, last beat
    std::vector<uint8_t> held;                 // the beat on offer, while m_axis refuses it
    uint64_t cycle = 0, sent = 0, got = 0, idle = 0;
    bool offered = false, holding = false, held_last = false;

    // Verilator keeps a port as little-endian words, whatever its width.
    template <class Port> uint8_t* bytes(Port& port, uint64_t count) {
        if (count > sizeof port) fail("tdata is narrower than the words");
        return reinterpret_cast<uint8_t*>(&port);
    }

    void broken(const char* what) {
        std::fprintf(stderr, "m_axis %s in cycle %llu, at beat %llu of frame %llu\n", what,
                     (unsigned long long)cycle, (unsigned long long)(got % task.beats_out),
                     (unsigned long long)(got / task.beats_out));
        std::exit(1);
    }

    void stuck() {
        std::fprintf(stderr,
                     "nothing moved for %llu cycles, until cycle %llu: s_axis took %llu of %llu "
                     "beats (tvalid %d, tready %d), m_axis gave %llu of %llu (tvalid %d, tready "
                     "%d)\n",
                     (unsigned long long)idle, (unsigned long long)cycle, (unsigned long long)sent,
                     (unsigned long long)(task.frames * task.beats_in), top.s_axis_tvalid,
                     top.s_axis_tready, (unsigned long long)got,
                     (unsigned long long)(task.frames * task.beats_out), top.m_axis_tvalid,
                     top.m_axis_tready);
        std::exit(1);
    }

    // Offer the next word; once offered it stays.
    void offer() {
        if (offered || sent == task.frames * task.beats_in || random.chance(task.stall_in)) return;
        uint8_t* tdata = bytes(top.s_axis_tdata, task.bytes_in);
        if (std::fread(tdata, 1, task.bytes_in, words_in) != task.bytes_in)
            fail("the file of words is too short");
        top.s_axis_tlast = sent % task.beats_in == task.beats_in - 1;
        top.s_axis_tvalid = offered = true;
    }

    // An offered beat stays as it is, and tlast ends the frame.
    void watch(const uint8_t* tdata) {
        if (holding) {
            if (!top.m_axis_tvalid) broken("took its beat back");
            if (std::memcmp(held.data(), tdata, task.bytes_out) || held_last != top.m_axis_tlast)
                broken("changed its beat");
        } else if (top.m_axis_tvalid) {
            if (got == task.frames * task.beats_out) broken("gives a beat too many");
            if (top.m_axis_tlast != (got % task.beats_out == task.beats_out - 1))
                broken("has tlast wrong");
        }
        holding = top.m_axis_tvalid && !top.m_axis_tready;
        if (holding) std::memcpy(held.data(), tdata, task.bytes_out), held_last = top.m_axis_tlast;
    }

    void step() {
        offer();
        top.clk = 0;
        if (task.stall_out) {
            // See whether tvalid follows tready.
            top.eval();
            const bool valid = top.m_axis_tvalid;
            top.m_axis_tready = !random.chance(task.stall_out);
            top.eval();
            if (top.m_axis_tvalid != valid) broken("has tvalid follow tready");
        } else {
            top.m_axis_tready = 1;
            top.eval();
        }
        const uint8_t* tdata = bytes(top.m_axis_tdata, task.bytes_out);
        watch(tdata);

        const bool in = top.s_axis_tvalid && top.s_axis_tready;
        const bool out = top.m_axis_tvalid && top.m_axis_tready;
        if (out) {
            std::fwrite(tdata, 1, task.bytes_out, words_out);
            if (++got % task.beats_out == 0) finish_frame();
        }
        if (in && sent++ % task.beats_in == 0) first_in.push_back(cycle);
        idle = in || out ? 0 : idle + 1;
        if (idle > task.patience) stuck();

        top.clk = 1;
        top.eval();
        if (in) top.s_axis_tvalid = offered = false;
        ++cycle;
    }

    void finish_frame() {
        last_out.push_back(cycle);
        // At most a hundred lines of progress.
        const uint64_t done = last_out.size(), frames = task.frames;
        if (done * 100 / frames != (done - 1) * 100 / frames)
            std::printf("%llu\n", (unsigned long long)done), std::fflush(stdout);
    }

public:
    explicit Bench(const Task& task)
        : task(task), random(task.seed), words_in(open(task.words_in, "rb")),
          words_out(open(task.words_out, "wb")), held(task.bytes_out) {}

    void run() {
        top.rst = 1;
        top.s_axis_tvalid = top.m_axis_tready = 0;
        for (int half = 0; half < 4; ++half) top.clk = half & 1, top.eval();
        top.rst = 0;
        while (got < task.frames * task.beats_out || sent < task.frames * task.beats_in) step();
        // Whatever else would come does so within the time of a frame.
        const uint64_t rest = std::min(last_out[0] - first_in[0] + 16, task.patience);
        for (idle = 0; idle < rest;) step();
        top.final();
        if (std::fclose(words_out)) fail("the output cannot be written");
        FILE* cycles = open(task.cycles, "wb");
        std::fwrite(first_in.data(), 8, first_in.size(), cycles);
        std::fwrite(last_out.data(), 8, last_out.size(), cycles);
        if (std::fclose(cycles)) fail("the cycles cannot be written");
    }
};

}  // namespace

int main(int, char** argv) {
    const auto text = [&] { return *++argv; };
    const auto number = [&] { return std::strtoull(*++argv, nullptr, 10); };
    const Task task{text(),   text(),   text(),   number(), number(), number(),
                    number(), number(), number(), number(), number(), number()};
    Bench(task).run();
}
