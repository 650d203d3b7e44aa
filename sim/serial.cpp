// Joins a Verilated shell's serial line to standard input and output, bit by bit: every byte that
// is read is put on rx as 8N1, and every one that is seen on tx is written. serial.py compiles it
// with the model. The shell runs as long as anything moves, and some more; then until bytes come.

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>

#include "Vtop.h"
#include "verilated.h"

// Verilator's runtime asks for it; nothing here has a time.
double sc_time_stamp() { return 0; }

namespace {

// In the order of the command line.
struct Task {
    double period;     // clock cycles a bit, of our end of the line
    uint64_t flips;    // of 2^32 cycles in which rx, and tx, is seen wrong
    uint64_t seed;
    uint64_t patience;  // cycles without a byte until it waits for the next one
};

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::exit(1);
}

class Random {
    uint64_t state;

public:
    explicit Random(uint64_t seed) : state(seed * 2 + 1) {}
    // xorshift64* (Vigna, 2016)
    bool chance(uint64_t of_2_32) {
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        return (state * 0x2545F4914F6CDD1DULL >> 32) < of_2_32;
    }
};

// Puts bytes on a line, back to back.
class Sender {
    const double period;
    double next = 0;    // when the next bit begins
    unsigned word = 1;  // the bits not begun, below a 1

public:
    std::deque<uint8_t> bytes;
    bool line = true;

    explicit Sender(double period) : period(period) {}
    bool busy() const { return word != 1 || !bytes.empty(); }

    void step(uint64_t cycle) {
        if (cycle < next) return;
        if (word == 1) {
            if (bytes.empty()) return;
            // start, data, stop
            word = 1u << 10 | 1u << 9 | bytes.front() << 1;
            bytes.pop_front();
            if (next + 1 < cycle) next = cycle;
        }
        line = word & 1, word >>= 1, next += period;
    }
};

// Takes bytes off a line; one without a stop bit is dropped, for there is no way to tell it on.
class Receiver {
    const double period;
    double next = 0;  // when to look at the next bit: in its middle
    int n = -1;       // the bit to look at; -1 between words
    bool armed = false;
    unsigned word = 0;

public:
    explicit Receiver(double period) : period(period) {}
    bool busy() const { return n >= 0; }

    // Returns the byte that ends here, or -1.
    int step(uint64_t cycle, bool line) {
        if (n < 0) {
            if (armed && !line) n = 0, word = 0, next = cycle + period / 2;
            armed = line;
            return -1;
        }
        if (cycle < next) return -1;
        next += period;
        if (n == 0 && line) return n = -1, -1;
        if (n < 9) {
            word |= unsigned(line) << n++;
            return -1;
        }
        n = -1, armed = line;
        return line ? int(word >> 1) : -1;
    }
};

class Bench {
    const Task& task;
    VerilatedContext context;
    Vtop top{&context};
    Random random;
    Sender sender;
    Receiver receiver;
    std::deque<uint8_t> out;
    uint64_t cycle = 0, idle = 0;

    bool noisy(bool line) { return task.flips && random.chance(task.flips) ? !line : line; }

    void step() {
        sender.step(cycle);
        top.rx = noisy(sender.line);
        top.clk = 0, top.eval();
        const int byte = receiver.step(cycle, noisy(top.tx));
        if (byte >= 0) out.push_back(uint8_t(byte));
        top.clk = 1, top.eval();
        ++cycle;
        idle = sender.busy() || receiver.busy() ? 0 : idle + 1;
    }

    // Read what is there; wait for it if the line is at rest. Returns false at the end of input.
    bool read() {
        if (sender.bytes.size() > 16) return true;
        pollfd input{0, POLLIN, 0};
        if (poll(&input, 1, idle > task.patience && out.empty() ? 20 : 0) <= 0) return true;
        uint8_t some[256];
        const ssize_t count = ::read(0, some, sizeof some);
        if (count > 0) sender.bytes.insert(sender.bytes.end(), some, some + count);
        return count != 0;
    }

    void write() {
        while (!out.empty()) {
            const uint8_t byte = out.front();
            const ssize_t count = ::write(1, &byte, 1);
            if (count < 0 && errno == EAGAIN) return;
            if (count != 1) std::exit(0);
            out.pop_front();
        }
    }

public:
    explicit Bench(const Task& task)
        : task(task), random(task.seed), sender(task.period), receiver(task.period) {}

    void run() {
        top.rst = 1, top.rx = 1;
        for (int half = 0; half < 4; ++half) top.clk = half & 1, top.eval();
        top.rst = 0;
        while (read()) {
            for (int n = 0; n < 200; ++n) step();
            write();
        }
        top.final();
    }
};

}  // namespace

int main(int count, char** argv) {
    if (count != 5) fail("usage: PERIOD FLIPS SEED PATIENCE");
    const Task task{std::strtod(argv[1], nullptr), std::strtoull(argv[2], nullptr, 10),
                    std::strtoull(argv[3], nullptr, 10), std::strtoull(argv[4], nullptr, 10)};
    Bench(task).run();
}
